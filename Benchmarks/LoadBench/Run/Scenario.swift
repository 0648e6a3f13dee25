/// One thing to measure: a load, and the servers that it is put on in turn.
struct Scenario {
    /// A server and what is peculiar to its load.
    struct Side {
        enum Server {
            case proxy, nginx
            /// nginx with the buffers of its defaults, for downloads.
            case plainNginx
            case haproxy
            /// The one of `Benchmarks/Reference`.
            case reference
        }
        var label: String
        var server = Server.proxy
        var identity = Workshop.Identity.p256
        var routes = 1
        /// Further lines of the proxy's configuration.
        var settings = ""
        /// Instead of the scenario's own number.
        var connections: Int?
        /// The same for streams on a connection; 0 for HTTP/1.1.
        var streams: Int?
        /// Another load on the same server at the same time.
        var beside: LoadOptions?

        static let proxy = Side(label: "mcp-proxy")
        static let nginx = Side(label: "nginx", server: .nginx)
        static let plainNginx = Side(label: "nginx (defaults)", server: .plainNginx)
        static let haproxy = Side(label: "HAProxy", server: .haproxy)
        static let reference = Side(label: "Go reference", server: .reference)
        static let all = [proxy, nginx, haproxy, reference]
    }

    /// What is to be reached.
    struct Target {
        var metric: String
        var isAtLeast: Bool
        var bound: Double
        /// Whether `bound` is for the first side over the second, else for the first side alone.
        var isRatio = true
        /// Label of the side that the first one is compared with; nginx without it, or the second where nginx is none.
        var over: String?
        var text: String
    }

    var name: String
    var load: LoadOptions
    var sides: [Side]
    var targets: [Target] = []
    /// Seconds of warm-up and measurement.
    var full = (warmUp: 1.0, seconds: 5.0)
    var quick = (warmUp: 0.2, seconds: 0.8)
    /// Connections in a quick run, when the full number takes too long.
    var quickConnections: Int?
    /// A server of its own for each run, for what must begin from nothing.
    var needsFreshServer = false

    init(
        _ name: String, _ kind: LoadOptions.Kind, _ connections: Int, sides: [Side] = Side.all,
        targets: [Target] = []
    ) {
        self.name = name
        self.sides = sides
        self.targets = targets
        load = LoadOptions(kind: kind, connections: connections)
    }

    /// All scenarios, in the order of the table.
    static var all: [Scenario] {
        [
            Scenario(
                "post-1", .requests, 1,
                targets: [Target(metric: "p50_us", isAtLeast: false, bound: 1.3, text: "p50 <= 1.3x nginx")]),
            Scenario(
                "post-32", .requests, 32,
                targets: [
                    Target(metric: cpu, isAtLeast: false, bound: 0.9, text: "CPU per request <= 0.90x nginx"),
                    Target(metric: "rate", isAtLeast: true, bound: 1.05, text: "rate >= 1.05x nginx"),
                ]),
            Scenario(
                "post-256", .requests, 256,
                targets: [Target(metric: cpu, isAtLeast: false, bound: 0.87, text: "CPU per request <= 0.87x nginx")]),
            Scenario("post-1024", .requests, 1024),
            flatConnections, flatRoutes, observed, traced,
            connect("connect-rsa4096", .connections, .rsa4096, bound: 1.0),
            connect("connect-p256", .connections, .p256, bound: nil),
            connect("connect-resumed", .resume, .p256, bound: 1.1),
            storm, floodRefused, floodPing,
            Scenario(
                "download-1", .download, 1, sides: [.proxy, .nginx, .plainNginx, .haproxy, .reference],
                targets: [
                    Target(metric: "cpu_ms_per_mib", isAtLeast: false, bound: 1.0, text: "CPU per MiB <= 1.0x nginx")
                ]),
            Scenario("download-4", .download, 4),
            Scenario(
                "upload-1", .upload, 1,
                targets: [
                    Target(metric: "mib_per_second", isAtLeast: true, bound: 0.8, text: "MiB/s >= 0.8x nginx")
                ]),
            events200, events1000, idle,
        ] + http2
    }

    /// Start-up is no load; only its row and targets are here.
    static var start: Scenario {
        Scenario(
            "start", .idle, 0, sides: [.proxy],
            targets: [
                Target(metric: "start_ms", isAtLeast: false, bound: 20, isRatio: false, text: "listening < 20 ms"),
                Target(metric: "resident_mib", isAtLeast: false, bound: 22, isRatio: false, text: "idle RSS < 22 MiB"),
            ])
    }

    static let cpu = "cpu_us_per_operation"

    private static var flatConnections: Scenario {
        Scenario(
            "flat-connections", .requests, 32,
            sides: [Side(label: "1,024 connections", connections: 1024), Side(label: "32 connections")],
            targets: [Target(metric: cpu, isAtLeast: false, bound: 1.15, text: "CPU per request <= 1.15x")])
    }

    private static var flatRoutes: Scenario {
        Scenario(
            "flat-routes", .requests, 32,
            sides: [Side(label: "10,000 routes", routes: 10_000), Side(label: "1 route")],
            targets: [Target(metric: cpu, isAtLeast: false, bound: 1.1, text: "CPU per request <= 1.10x")])
    }

    /// What it costs that somebody can see into the proxy. Counters are always on; what they cost is among the rest.
    private static var observed: Scenario {
        Scenario(
            "observed", .requests, 32,
            sides: [
                Side(label: "access log and admin listener", settings: "admin_addr: 127.0.0.1:0\n"),
                Side(label: "neither", settings: "log_level: error\n"),
            ],
            targets: [Target(metric: cpu, isAtLeast: false, bound: 1.03, text: "CPU per request <= 1.03x")])
    }

    private static var traced: Scenario {
        Scenario(
            "traced", .requests, 32,
            sides: [
                Side(label: "1 of 100 traced", settings: "trace: {enabled: true, sample_ratio: 0.01}\n"),
                Side(label: "no traces"),
            ],
            targets: [Target(metric: cpu, isAtLeast: false, bound: 1.02, text: "CPU per request <= 1.02x")])
    }

    private static func connect(
        _ name: String, _ kind: LoadOptions.Kind, _ identity: Workshop.Identity, bound: Double?
    ) -> Scenario {
        // Enough at once that no loop of the server waits: each connection goes to one by its address.
        var scenario = Scenario(name, kind, 32)
        for index in scenario.sides.indices { scenario.sides[index].identity = identity }
        if let bound {
            scenario.targets = [
                Target(metric: "rate", isAtLeast: true, bound: bound, text: "rate >= \(bound)x nginx")
            ]
        }
        return scenario
    }

    /// Small POSTs on 8 connections, 500 a second on each, beside something else.
    private static func beside(
        _ name: String, _ other: LoadOptions, sides: [Side], targets: [Target]
    ) -> Scenario {
        var scenario = Scenario(name, .requests, 8, sides: sides, targets: targets)
        scenario.load.interval = 0.002
        for index in sides.indices where !sides[index].label.hasSuffix("quiet") {
            scenario.sides[index].beside = other
        }
        // The other comes in the middle of the warm-up, when all connections of ours are there.
        (scenario.full, scenario.quick) = ((1, 5), (0.6, 1))
        return scenario
    }

    private static let quiet = Side(label: "mcp-proxy, quiet")

    /// Two clients shake hands in full without pause: what of it do others feel?
    private static var storm: Scenario {
        var sides = [Side.proxy, .nginx, .haproxy, .reference, quiet]
        for index in sides.indices { sides[index].identity = .rsa4096 }
        return beside(
            "storm", LoadOptions(kind: .connections, connections: 2), sides: sides,
            targets: [
                Target(
                    metric: "p99_us", isAtLeast: false, bound: 0.3, over: Side.nginx.label, text: "p99 <= 0.3x nginx"),
                Target(
                    metric: "beside_rate", isAtLeast: true, bound: 0.95, over: Side.nginx.label,
                    text: "handshakes >= 0.95x nginx"),
            ])
    }

    private static var floodRefused: Scenario {
        beside(
            "flood-refused", LoadOptions(kind: .floodRefused, connections: 1),
            sides: [.proxy, quiet, .nginx, Side(label: "nginx, quiet", server: .nginx)], targets: [hostile])
    }

    /// nginx has no WebSocket of its own to ping.
    private static var floodPing: Scenario {
        beside(
            "flood-ping", LoadOptions(kind: .floodPing, connections: 1), sides: [.proxy, quiet], targets: [hostile])
    }

    private static let hostile = Target(
        metric: "p99_us", isAtLeast: false, bound: 2, over: quiet.label, text: "p99 <= 2x of quiet")

    /// 20,000 events a second in all: a third to a half of what the two cores can carry, so that the delay measured is
    /// that of an event and not that of a queue.
    private static var events200: Scenario {
        var scenario = Scenario(
            "events-200", .events, 200,
            targets: [Target(metric: "p99_us", isAtLeast: false, bound: 0.8, text: "p99 <= 0.8x nginx")])
        scenario.load.eventRate = 100
        return scenario
    }

    /// As many events in all as with 200 streams: 100 on each of 1,000 would ask for more than the machine has.
    private static var events1000: Scenario {
        var scenario = Scenario("events-1000", .events, 1000)
        scenario.load.eventRate = 20
        scenario.quickConnections = 400
        return scenario
    }

    private static var idle: Scenario {
        var scenario = Scenario(
            "idle-5000", .idle, 5000,
            targets: [
                Target(
                    metric: "kib_per_stream", isAtLeast: false, bound: 18, isRatio: false, text: "<= 18 KiB a stream")
            ])
        scenario.full = (3, 1)
        scenario.quick = (0.5, 0.3)
        scenario.quickConnections = 1000
        scenario.needsFreshServer = true
        return scenario
    }
}

extension LoadOptions {
    init(kind: Kind, connections: Int) {
        self.kind = kind
        self.connections = connections
    }
}
