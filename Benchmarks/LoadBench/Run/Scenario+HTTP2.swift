/// HTTP/2 inside of the tunnel, beside nginx's and beside our HTTP/1.1.
extension Scenario {
    static var http2: [Scenario] {
        [
            posts(
                connections: 1,
                targets: [
                    rate,
                    Target(
                        metric: cpu, isAtLeast: false, bound: 0.9, over: oldSide.label,
                        text: "CPU per request <= 0.90x 1.1"),
                ]),
            posts(connections: 8, targets: [rate]),
            events, download, idleStreams,
        ]
    }

    /// As many requests at a time as with 32 streams, each on a connection of its own.
    private static let oldSide = Side(label: "mcp-proxy, 1.1", connections: 32, streams: 0)

    private static let rate = Target(
        metric: "rate", isAtLeast: true, bound: 1.2, over: Side.nginx.label, text: "rate >= 1.2x nginx")

    private static func posts(connections: Int, targets: [Target]) -> Scenario {
        let sides = connections == 1 ? Side.all + [oldSide] : Side.all
        var scenario = Scenario("h2-\(connections)x32", .requests, connections, sides: sides, targets: targets)
        scenario.load.streams = 32
        return scenario
    }

    private static var events: Scenario {
        var scenario = Scenario(
            "h2-events", .events, 1,
            targets: [
                Target(
                    metric: "p99_us", isAtLeast: false, bound: 0.7, over: Side.nginx.label, text: "p99 <= 0.7x nginx")
            ])
        scenario.load.streams = 100
        scenario.load.eventRate = 100
        return scenario
    }

    private static var download: Scenario {
        var scenario = Scenario(
            "h2-download", .download, 1,
            targets: [
                Target(
                    metric: "mib_per_second", isAtLeast: true, bound: 1.0, over: Side.nginx.label,
                    text: "MiB/s >= 1.0x nginx")
            ])
        scenario.load.streams = 1
        return scenario
    }

    /// Go's server takes 250 streams on a connection at most, so the reference has no side here.
    private static var idleStreams: Scenario {
        var proxy = Side.proxy
        proxy.settings = "limits: {max_requests_per_connection: 1000}\n"
        var scenario = Scenario(
            "h2-idle", .idle, 1, sides: [proxy, .nginx, .haproxy],
            targets: [
                Target(
                    metric: "kib_per_stream", isAtLeast: false, bound: 3, isRatio: false, text: "<= 3 KiB a stream")
            ])
        scenario.load.streams = 1000
        scenario.full = (2, 1)
        scenario.quick = (0.5, 0.3)
        scenario.needsFreshServer = true
        return scenario
    }
}
