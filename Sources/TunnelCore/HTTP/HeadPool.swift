/// The memory of finished heads, for one loop: with it a request's fields need no allocation.
///
/// Each head belongs to one message at a time, which takes it here when its first byte comes. So two messages can never see
/// each other's fields, whoever waits in between.
package struct HeadPool: ~Copyable {
    /// Heads of each kind that are kept.
    package static let maxSpare = 128
    /// A head that had more fields than this is not kept: few have, and a flood of them is not to fill the pool.
    package static let maxFields = 64

    private var requests: [RequestHead] = []
    private var responses: [ResponseHead] = []

    package init() {}

    package mutating func takeRequest() -> RequestHead { requests.popLast() ?? RequestHead() }

    package mutating func takeResponse() -> ResponseHead { responses.popLast() ?? ResponseHead() }

    /// Takes the memory of `head` and leaves it empty.
    package mutating func give(_ head: inout RequestHead) {
        var spare = RequestHead()
        swap(&spare, &head)
        guard requests.count < Self.maxSpare, 1...Self.maxFields ~= spare.section.capacity else { return }
        spare.reset()
        requests.append(spare)
    }

    /// Takes the memory of `head` and leaves it empty.
    package mutating func give(_ head: inout ResponseHead) {
        var spare = ResponseHead()
        swap(&spare, &head)
        guard responses.count < Self.maxSpare, 1...Self.maxFields ~= spare.section.capacity else { return }
        spare.reset()
        responses.append(spare)
    }
}
