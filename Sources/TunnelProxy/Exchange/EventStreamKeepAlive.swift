internal import TunnelCore
internal import TunnelIO

/// Comments in a `text/event-stream` that is silent, so that nobody on its way takes it for dead
/// (`upstream.sse_keepalive`).
///
/// It belongs to one response, and only to one that it can be put into: an event stream without a content coding and
/// without a length. What the timer says is a flag and a wake-up; the task that passes the response on sends the comment,
/// after what has come meanwhile, and waits for the client as it does for everything else.
final class EventStreamKeepAlive {
    static let comment = Array(": keep-alive\n\n".utf8)

    /// A comment is to be sent before the next wait.
    private(set) var isDue = false
    private var position = EventStreamPosition()
    private let interval: UInt64
    private let wake: () -> Void
    private let reactor: Reactor
    private lazy var deadline = Deadline(on: reactor) { [unowned self] in silenceLasted() }

    /// - Parameters:
    ///   - interval: nanoseconds of silence.
    ///   - wake: lets the task that waits for the upstream look at ``isDue``.
    init(after interval: UInt64, on reactor: Reactor, wake: @escaping () -> Void) {
        (self.interval, self.reactor, self.wake) = (interval, reactor, wake)
        deadline.set(after: interval)
    }

    /// A piece of the stream has passed.
    func took(_ bytes: Span<UInt8>) {
        position.take(bytes)
        restart()
    }

    private func silenceLasted() {
        // Half an event waits for its other half, and the silence is counted from there.
        guard position.isBetweenEvents else { return }
        isDue = true
        wake()
    }

    /// A comment was sent.
    func restart() {
        isDue = false
        deadline.set(after: interval)
    }
}

extension Exchange {
    /// Begins to watch over the response whose head is to be passed on, if it is one for that.
    @inline(never)
    func startKeepAlive(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>, _ client: any ClientStream) {
        guard route >= 0 else { return }
        let interval = snapshot.routes[Int(route)].eventKeepAlive
        guard interval > 0, head.status == 200, head.isEventStream else { return }
        switch head.framing {
        case .chunked, .untilClose: break
        case .none, .length: return
        }
        for index in head.fields.indices {
            let field = head.fields[index]
            guard bytes.matches(field.name, ignoringCase: "content-encoding") else { continue }
            guard bytes.matches(field.value, ignoringCase: "identity") else { return }
        }
        keepAlive = EventStreamKeepAlive(after: interval, on: worker.reactor) { [unowned client] in client.wake() }
    }

    /// Puts a comment between two events.
    @inline(never)
    func sendKeepAlive(_ server: any ServerStream) -> Room {
        var comment = worker.reactor.buffers.take(atLeast: EventStreamKeepAlive.comment.count)
        comment.append(EventStreamKeepAlive.comment)
        server.sendBody(&comment, comment.count)
        worker.reactor.buffers.give(&comment)
        keepAlive?.restart()
        return server.push()
    }
}
