import Testing
import TunnelCore

@testable import TunnelProxy

@Suite struct RouteSlotsTests {
    @Test func aRouteKeepsItsSlot() {
        let first = RouteSlots(["a", "b", "c"])
        #expect(Set(first.slots).count == 3 && !first.slots.contains(.none))
        let second = RouteSlots(["c", "x", "a"], after: first)
        #expect(second.slots[0] == first.slots[2] && second.slots[2] == first.slots[0])
        #expect(!first.slots.contains(second.slots[1]))
        // One that is gone is still shown, and has its counters again when it comes back.
        #expect(second.shown.map(\.name).sorted() == ["", "a", "b", "c", "x"])
        let third = RouteSlots(["b"], after: second)
        #expect(third.slots == [first.slots[1]])
    }

    @Test func onlySoManyAreKept() {
        let gone = (0...RouteSlots.maxGone).map { "gone\($0)" }
        var slots = RouteSlots(["stays"] + gone)
        let before = slots
        slots = RouteSlots(["stays"] + gone.dropFirst(), after: slots)
        slots = RouteSlots(["stays"], after: slots)
        // One more than are kept: the one that went first has given its slot away.
        #expect(slots.shown.count == RouteSlots.maxGone + 2)
        #expect(!slots.shown.contains { $0.name == "gone0" })
        let next = RouteSlots(["stays", "new"], after: slots)
        #expect(next.slots[1] == RouteSlot(index: before.slots[1].index, generation: 2))
        #expect(next.slots[0] == before.slots[0])
    }

    /// The one that went first gives its slot away, wherever it stands in the table.
    @Test func theOldestGoesFirst() {
        let gone = (0...RouteSlots.maxGone).map { "gone\($0)" }
        let last = gone[RouteSlots.maxGone]
        var slots = RouteSlots(gone)
        slots = RouteSlots(Array(gone.dropLast()), after: slots)
        slots = RouteSlots([] as [String], after: slots)
        #expect(!slots.shown.contains { $0.name == last } && slots.shown.contains { $0.name == "gone0" })
    }

    /// Names that change with every reload do not make the table grow.
    @Test func theTableIsBounded() {
        var slots = RouteSlots([] as [String])
        var highest = 0
        for round in 0..<1000 {
            slots = RouteSlots(["a\(round)", "b\(round)"], after: slots)
            highest = max(highest, slots.slots.map(\.index).max() ?? 0)
        }
        #expect(highest <= RouteSlots.maxGone + 5)
        #expect(slots.shown.count == RouteSlots.maxGone + 3)
    }
}
