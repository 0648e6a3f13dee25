import Foundation
import Testing
import TunnelCore
import TunnelIO

/// `openssl s_server` on 127.0.0.1, which answers every GET with a page about its connection.
final class OpenSSLServer: Sendable {
    let port: UInt16
    private let process: ServerProcess

    init(_ certificate: String, _ options: String...) throws {
        let files = ["-cert", "\(certificate).crt", "-key", "\(certificate).key"]
        process = try ServerProcess(
            "/usr/bin/openssl", ["s_server", "-accept", "127.0.0.1:0", "-www"] + files + options)
        port = try #require(process.output(after: "ACCEPT 127.0.0.1:", "\n").flatMap { UInt16($0) })
    }
}

/// nginx on 127.0.0.1 in TLS: it keeps connections, and answers with what it saw of the request.
final class NginxServer: Sendable {
    let port: UInt16
    private let process: ServerProcess

    static let path = "/usr/sbin/nginx"
    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: path) }

    init(_ certificate: String) throws {
        port = try freePort()
        let name = "nginx-\(port)"
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map { "\($0)_temp_path \(name);" }.joined()
        let configuration = """
            daemon off; master_process off; pid \(name).pid; error_log stderr; events {}
            http {
              access_log off; \(paths)
              server {
                listen 127.0.0.1:\(port) ssl;
                ssl_certificate \(certificate).crt; ssl_certificate_key \(certificate).key;
                location / {
                  return 200 "$connection_requests|$request_method|$request_uri|$http_host|$http_user_agent|\
            $http_accept|$http_authorization|$content_length|$http_x_test";
                }
              }
            }

            """
        let folder = ServerCertificates.folder
        try Data(configuration.utf8).write(to: folder.appendingPathComponent("\(name).conf"))
        process = try ServerProcess(
            Self.path, ["-e", "stderr", "-p", folder.path, "-c", folder.appendingPathComponent("\(name).conf").path])
        try #require(waitUntilListening(on: port))
    }
}

/// A server that ends with this object. It runs in the folder of the certificates.
final class ServerProcess: Sendable {
    private let process = Process()
    private let pipe = Pipe()

    init(_ path: String, _ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.currentDirectoryURL = ServerCertificates.folder
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    /// Not by SIGTERM: the threads that tests run on block it, and their children inherit that.
    deinit { kill(process.processIdentifier, SIGKILL) }

    /// What the server prints between two texts.
    func output(after start: String, _ end: String) -> String? {
        var text = ""
        while case let piece = pipe.fileHandleForReading.availableData, !piece.isEmpty {
            text += String(decoding: piece, as: UTF8.self)
            guard let range = text.firstRange(of: start) else { continue }
            if let stop = text[range.upperBound...].firstRange(of: end) {
                return String(text[range.upperBound..<stop.lowerBound])
            }
        }
        return nil
    }
}

/// A port of 127.0.0.1 that nobody listens on.
func freePort() throws -> UInt16 {
    guard case .ip(_, let port) = try Listener(.ip(IPAddress(v4: 0x7F00_0001), port: 0), isShared: false).address else {
        return 0
    }
    return port
}

/// Whether somebody listens there within 20 seconds.
private func waitUntilListening(on port: UInt16) -> Bool {
    let pause = ThreadSignal()
    for _ in 0..<2_000 {
        if let descriptor = connect(to: port) {
            close(descriptor)
            return true
        }
        _ = pause.wait(milliseconds: 10)
    }
    return false
}

/// A blocking connection to a port of 127.0.0.1.
func connect(to port: UInt16) -> CInt? {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    if result == 0 { return descriptor }
    close(descriptor)
    return nil
}
