internal import TunnelCore
internal import TunnelIO

/// `/status`: what a program asks for.
final class StatusEndpoint: AdminEndpoint {
    private let maker: StatusMaker

    init(_ maker: StatusMaker) { self.maker = maker }

    func reply(to request: AdminRequest) async -> AdminReply { .whole(.snakeCase(await maker.status())) }
}

/// `/`: the page.
final class PageEndpoint: AdminEndpoint {
    private let feed: PageFeed
    private let ring: LogRing?

    init(_ feed: PageFeed, _ ring: LogRing?) { (self.feed, self.ring) = (feed, ring) }

    func reply(to request: AdminRequest) async -> AdminReply {
        let (status, version) = await feed.page()
        let lines = ring?.lines(limit: Page.maxLines)
        let fields: [(name: String, value: String)] = [
            ("Content-Security-Policy", PageAssets.policy), ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Resource-Policy", "same-origin"),
        ]
        let body = Page(status: status).document(lines: lines, version: version, edition: feed.edition)
        return .whole(AdminResponse(type: "text/html; charset=utf-8", fields: fields, body: body))
    }
}

/// `/logs?limit=&level=`: the last lines of the log as they were written, and with `download=1` as a file.
final class LogsEndpoint: AdminEndpoint {
    private let ring: LogRing?
    let takesLinks = false

    init(_ ring: LogRing?) { self.ring = ring }

    func reply(to request: AdminRequest) async -> AdminReply {
        guard let ring else {
            return .whole(
                .text("The log goes to the program that this proxy is part of, which has not kept it", status: 404))
        }
        var level = LogLevel.debug
        if let word = request.parameter("level"), !word.isEmpty {
            guard let known = LogLevel(rawValue: word.lowercased()) else {
                let levels = LogLevel.allCases.map(\.rawValue).joined(separator: ", ")
                return .whole(.text("level: not a log level; write one of \(levels)", status: 400))
            }
            level = known
        }
        var limit = Int.max
        if let number = request.parameter("limit"), !number.isEmpty {
            guard let lines = Int(number), lines > 0 else {
                return .whole(.text("limit: not a number of lines; write 200, for example", status: 400))
            }
            limit = lines
        }
        let body = ring.lines(limit: limit, from: level).flatMap { Array("\($0.text)\n".utf8) }
        var response = AdminResponse(type: "text/plain; charset=utf-8", body: body)
        if request.parameter("download") != nil {
            response.fields = [("Content-Disposition", "attachment; filename=\"mcp-proxy.log\"")]
        }
        return .whole(response)
    }
}

/// `/events`: what changes on the page, and the lines of the log as they come, as server-sent events.
final class EventsEndpoint: AdminEndpoint {
    private let feed: PageFeed
    private let ring: LogRing?
    private let instance: String
    private var readers: [Reader] = []
    let takesLinks = false

    private struct Reader {
        let body: AdminBody
        /// It has read the page, so no page of another site has sent it.
        let isPage: Bool
    }

    /// At one time; each costs a connection and some work every second.
    static let maxReaders = 16
    /// Between two looks.
    private static let pause = Duration.seconds(1)
    /// Looks without news, after which a comment shows that the connection lives.
    private static let quietLooks = 15
    /// Lines of the log in one event: who asks for more than the ring has got, has missed them.
    private static let maxLines = 500

    init(_ feed: PageFeed, _ ring: LogRing?, instance: String) {
        (self.feed, self.ring, self.instance) = (feed, ring, instance)
    }

    func reply(to request: AdminRequest) async -> AdminReply {
        // Those of another process, or of other routes, have another document.
        let isOurs = request.parameter("instance").map { $0 == "\(instance)-\(feed.edition)" }
        guard makeRoom(for: isOurs == true) else {
            var refusal = AdminResponse.text("\(Self.maxReaders) pages are open already", status: 503)
            refusal.fields = [("Retry-After", "15")]
            return .whole(refusal)
        }
        let version = request.parameter("since").flatMap(UInt64.init) ?? 0
        let line = request.parameter("log").flatMap(UInt64.init) ?? ring?.last ?? 0
        return .stream(type: "text/event-stream") { [self] body in
            readers.append(Reader(body: body, isPage: isOurs == true))
            defer { readers.removeAll { $0.body === body } }
            if isOurs ?? true { await serve(body, version, line) } else { _ = await body.send(Self.anew) }
        }
    }

    /// Whether there is a place. A browser says where a request comes from only to an address that it trusts, so a page of
    /// another site may fill the places elsewhere; the page itself then takes the place of whoever has not read it.
    private func makeRoom(for isPage: Bool) -> Bool {
        guard readers.count >= Self.maxReaders else { return true }
        guard isPage, let other = readers.first(where: { !$0.isPage && !$0.body.isOver }) else { return false }
        other.body.endNow()
        return true
    }

    private static let anew = PageFeed.event("anew", [String]())

    /// A send ends when the kernel has taken the bytes, and fails for a reader that takes nothing: so a slow one holds one
    /// event, and is gone when it has not taken that in time.
    private func serve(_ body: AdminBody, _ version: UInt64, _ line: UInt64) async {
        var (version, line, quiet) = (version, line, 0)
        let edition = feed.edition
        while !body.isOver {
            await feed.refresh()
            if feed.edition != edition {
                _ = await body.send(Self.anew)
                return
            }
            var message: [UInt8] = []
            if let news = feed.news(since: version) {
                message = news.event
                version = news.version
            }
            if let lines = ring?.lines(after: line, limit: Self.maxLines), let last = lines.last {
                message += PageFeed.event("log", lines.map(LineOfEvent.init))
                line = last.number
            }
            quiet = message.isEmpty ? quiet + 1 : 0
            if quiet >= Self.quietLooks {
                message = Array(": still here\n\n".utf8)
                quiet = 0
            }
            guard await body.send(message) else { return }
            await body.wait(atMost: Self.pause)
        }
    }

    /// `[number, level, text]`
    private struct LineOfEvent: Encodable {
        let line: LogRing.Line

        init(_ line: LogRing.Line) { self.line = line }

        func encode(to encoder: any Encoder) throws {
            var list = encoder.unkeyedContainer()
            try list.encode(line.number)
            try list.encode(line.level?.rawValue ?? "info")
            try list.encode(line.text)
        }
    }
}
