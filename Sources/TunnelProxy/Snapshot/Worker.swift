internal import TunnelCore
internal import TunnelIO

/// What everything on one loop has in common: the loop itself, what the loops share, the counters, and spare heads.
///
/// A head keeps the storage of its fields from one request to the next. Each belongs to one message at a time, which takes it
/// here when its first byte comes: so two messages can never see each other's fields, whoever waits in between.
final class Worker {
    unowned let reactor: Reactor
    let shared: SharedState
    var metrics = WorkerMetrics()

    private static let maxSpare = 256
    private var requestHeads: [RequestHead] = []
    private var responseHeads: [ResponseHead] = []

    init(_ reactor: Reactor, _ shared: SharedState) {
        (self.reactor, self.shared) = (reactor, shared)
    }

    func takeRequestHead() -> RequestHead { requestHeads.popLast() ?? RequestHead() }

    func give(_ head: inout RequestHead) {
        var spare = RequestHead()
        swap(&spare, &head)
        // One without storage is one that was given before; taken in turn, it would cost the next request an allocation.
        guard spare.fields.capacity > 0, requestHeads.count < Worker.maxSpare else { return }
        spare.reset()
        requestHeads.append(spare)
    }

    func takeResponseHead() -> ResponseHead { responseHeads.popLast() ?? ResponseHead() }

    func give(_ head: inout ResponseHead) {
        var spare = ResponseHead()
        swap(&spare, &head)
        guard spare.fields.capacity > 0, responseHeads.count < Worker.maxSpare else { return }
        spare.reset()
        responseHeads.append(spare)
    }
}
