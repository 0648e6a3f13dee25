/// The memory of finished heads, for one loop: with it the fields of a head need no allocation.
///
/// Each head belongs to one message at a time, which takes it here when its first byte comes. So two messages can never see
/// each other's fields, whoever waits in between.
package struct HeadPool: ~Copyable {
    /// Heads whose memory is kept.
    package static let maxSpare = 256
    /// A head that had more fields than this is not kept: few have, and a flood of them is not to fill the pool.
    package static let maxFields = 64

    private var spare: [[Field]] = []

    package init() { spare.reserveCapacity(HeadPool.maxSpare) }

    package mutating func takeRequest() -> RequestHead {
        spare.popLast().map { RequestHead(storage: $0) } ?? RequestHead()
    }

    package mutating func takeResponse() -> ResponseHead {
        spare.popLast().map { ResponseHead(storage: $0) } ?? ResponseHead()
    }

    /// Takes the memory of `head` and leaves it empty.
    package mutating func give(_ head: inout RequestHead) {
        keep(head.section.surrender())
        head = RequestHead()
    }

    /// Takes the memory of `head` and leaves it empty.
    package mutating func give(_ head: inout ResponseHead) {
        keep(head.section.surrender())
        head = ResponseHead()
    }

    private mutating func keep(_ fields: consuming [Field]) {
        guard spare.count < Self.maxSpare, 1...Self.maxFields ~= fields.capacity else { return }
        spare.append(fields)
    }
}
