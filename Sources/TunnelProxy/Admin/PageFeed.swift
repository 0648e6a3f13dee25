internal import FoundationEssentials
internal import TunnelCore
internal import TunnelIO

/// What has changed on the page, for any number of readers of `/events`.
///
/// Each part of the page has the version in which it last changed. A reader says which version it has and gets what is newer,
/// so there is nothing to be kept for a reader, and one that comes back has missed nothing.
final class PageFeed {
    private struct Part {
        var content: Markup
        var version: UInt64
    }

    private let maker: StatusMaker
    private var parts: [String: Part] = [:]
    /// The order of the parts, which is that of the page.
    private var order: [String] = []
    /// The routes that the parts are of: with others, the document is another one.
    private var routes: [String] = []
    private var rendered: UInt64 = 0
    private(set) var version: UInt64 = 0
    /// Raised when a page has to be loaded anew.
    private(set) var edition = 1

    /// However many readers there are, the page is made anew this often at most.
    private static let interval: UInt64 = 1_500_000_000

    init(_ maker: StatusMaker) { self.maker = maker }

    /// The page as it is now, and the version that it has.
    func page() async -> (status: Status, version: UInt64) {
        let status = await maker.status()
        take(status)
        return (status, version)
    }

    /// Makes the page anew, unless that was done a moment ago.
    func refresh() async {
        let now = Reactor.clock()
        guard now &- rendered >= Self.interval else { return }
        rendered = now
        take(await maker.status())
    }

    private func take(_ status: Status) {
        let names = status.routes.map { "\($0.route) \($0.url ?? "") \($0.upstream)" }
        if names != routes {
            if !routes.isEmpty { edition += 1 }
            (routes, parts) = (names, [:])
        }
        let fresh = Page(status: status, isLive: true).parts
        order = fresh.map(\.id)
        for part in fresh where parts[part.id]?.content != part.content {
            if parts[part.id]?.version != version + 1 { hasNews = true }
            parts[part.id] = Part(content: part.content, version: version + 1)
        }
        if hasNews { version += 1 }
        hasNews = false
    }
    private var hasNews = false

    /// The message for a reader, and the version that it has then; `nil` where nothing is new.
    func news(since version: UInt64) -> (event: [UInt8], version: UInt64)? {
        struct News: Encodable {
            struct Part: Encodable {
                let id: String
                let content: String
            }
            let version: String
            let now: String
            let parts: [Part]
        }
        guard version < self.version else { return nil }
        let changed = order.compactMap { id -> News.Part? in
            guard let part = parts[id], part.version > version else { return nil }
            return News.Part(id: id, content: part.content.text)
        }
        let news = News(version: "\(self.version)", now: SystemClock.now().description, parts: changed)
        return (Self.event("parts", news), self.version)
    }

    /// One event (HTML Standard §9.2.6). JSON has no line breaks, so the data is one line.
    static func event(_ name: StaticString, _ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        // Texts and numbers of ours can always be encoded.
        let data = (try? encoder.encode(value)) ?? Data()
        return Array("event: \(name)\ndata: ".utf8) + Array(data) + Array("\n\n".utf8)
    }
}
