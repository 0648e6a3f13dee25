import Glibc

/// What one load process does, from its command line.
struct LoadOptions {
    enum Kind: String {
        /// Small POSTs, one after another on each connection.
        case requests
        /// New connections, one request on each; `resume` makes their handshakes short.
        case connections, resume
        case download, upload
        /// Event streams whose events carry the time they were sent at.
        case events
        /// Event streams on which nothing happens: for their memory.
        case idle
        /// Hostile, to be run beside another load; see ``FloodLoad``.
        case floodRefused = "flood-refused"
        case floodPing = "flood-ping"
    }

    var kind = Kind.requests
    var target = LoadTarget(mode: .tunnel, port: 0, caFile: "", routes: 1)
    var connections = 1
    /// Streams at a time on each connection, by HTTP/2; 0 for HTTP/1.1.
    var streams = 0
    /// Events a second on each stream.
    var eventRate = 100
    /// For requests: seconds from one to the next on a connection; 0 sends each as soon as it can be.
    var interval = 0.0
    /// Seconds before the first connection, for a load beside another.
    var delay = 0.0
    var warmUp = 0.5
    var seconds = 2.0
    /// Processes whose CPU time and memory belong to the measurement.
    var watched: [pid_t] = []
    /// Further processes of the benchmark, so that what strangers use can be told apart.
    var others: [pid_t] = []

    init(_ arguments: [String]) throws(BenchError) {
        var rest = arguments[...]
        while let name = rest.popFirst() {
            guard let value = rest.popFirst() else { throw BenchError("\(name) needs a value") }
            switch name {
            case "--kind": kind = try LoadOptions.known(Kind(rawValue: value), name, value)
            case "--mode": target.mode = try LoadOptions.known(LoadTarget.Mode(rawValue: value), name, value)
            case "--port": target.port = try LoadOptions.known(UInt16(value), name, value)
            case "--ca": target.caFile = value
            case "--routes": target.routes = try LoadOptions.known(Int(value), name, value)
            case "--connections": connections = try LoadOptions.known(Int(value), name, value)
            case "--streams": streams = try LoadOptions.known(Int(value), name, value)
            case "--event-rate": eventRate = try LoadOptions.known(Int(value), name, value)
            case "--interval": interval = try LoadOptions.known(Double(value), name, value)
            case "--delay": delay = try LoadOptions.known(Double(value), name, value)
            case "--warm-up": warmUp = try LoadOptions.known(Double(value), name, value)
            case "--seconds": seconds = try LoadOptions.known(Double(value), name, value)
            case "--watch": watched = value.split(separator: ",").compactMap { pid_t($0) }
            case "--others": others = value.split(separator: ",").compactMap { pid_t($0) }
            default: throw BenchError("unknown option \(name)")
            }
        }
    }

    private static func known<T>(_ value: T?, _ name: String, _ text: String) throws(BenchError) -> T {
        guard let value else { throw BenchError("\(name) cannot be \(text)") }
        return value
    }

    /// The same as a command line.
    var arguments: [String] {
        [
            "--kind", kind.rawValue, "--mode", target.mode.rawValue, "--port", "\(target.port)", "--ca", target.caFile,
            "--routes", "\(target.routes)", "--connections", "\(connections)", "--streams", "\(streams)",
            "--event-rate", "\(eventRate)", "--interval", "\(interval)", "--delay", "\(delay)", "--warm-up",
            "\(warmUp)",
            "--seconds", "\(seconds)",
            "--watch", watched.map { "\($0)" }.joined(separator: ","),
            "--others", others.map { "\($0)" }.joined(separator: ","),
        ]
    }
}
