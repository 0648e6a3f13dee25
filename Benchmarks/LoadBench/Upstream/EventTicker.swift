import Glibc
import TunnelCore
import TunnelIO

/// Sends events to streams at a steady rate, spread evenly over time, each stamped with the moment it is sent at.
final class EventTicker {
    private let reactor: Reactor
    private var wheels: [Int: Wheel] = [:]
    private var places: [ObjectIdentifier: (rate: Int, slot: Int)] = [:]
    private var event: [UInt8]
    private let stampStart: Int
    private var millisecond: UInt64 = 0
    private lazy var tick = Deadline(on: reactor) { [unowned self] in turn() }

    /// Streams of one rate; a stream has its event when its slot comes round.
    private struct Wheel {
        var slots: [[UpstreamConnection]]
        var nextSlot = 0
    }

    init(_ reactor: Reactor) {
        self.reactor = reactor
        let filler = #"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1}}"#
        let stamp = String(repeating: "0", count: EventScan.digits)
        let payload = "data: \(stamp) \(filler)\n\n"
        let header = String(payload.utf8.count, radix: 16) + "\r\n"
        event = Array((header + payload + "\r\n").utf8)
        stampStart = header.utf8.count + EventScan.prefix.count
    }

    /// Adds a stream, which has its first event at once. Rates are divisors of 1,000; 0 means no further event.
    func add(_ connection: UpstreamConnection, rate: Int) {
        send(to: connection)
        guard rate > 0 else { return }
        if wheels.isEmpty {
            millisecond = Reactor.clock() / 1_000_000
            tick.set(after: 1_000_000)
        }
        var wheel = wheels[rate] ?? Wheel(slots: Array(repeating: [], count: max(1, 1000 / rate)))
        wheel.slots[wheel.nextSlot].append(connection)
        places[ObjectIdentifier(connection)] = (rate, wheel.nextSlot)
        wheel.nextSlot = (wheel.nextSlot + 1) % wheel.slots.count
        wheels[rate] = wheel
    }

    func remove(_ connection: UpstreamConnection) {
        guard let place = places.removeValue(forKey: ObjectIdentifier(connection)) else { return }
        wheels[place.rate]?.slots[place.slot].removeAll { $0 === connection }
        if wheels[place.rate]?.slots.allSatisfy(\.isEmpty) == true { wheels[place.rate] = nil }
    }

    private func turn() {
        guard !wheels.isEmpty else { return }
        tick.set(after: 1_000_000)
        let now = Reactor.clock() / 1_000_000
        // After a long pause the streams go on from now: a burst of all missed events would measure us.
        millisecond = max(millisecond, now > 20 ? now - 20 : 0)
        while millisecond < now {
            millisecond += 1
            for wheel in wheels.values {
                for connection in wheel.slots[Int(millisecond % UInt64(wheel.slots.count))] { send(to: connection) }
            }
        }
    }

    private func send(to connection: UpstreamConnection) {
        var time = Reactor.clock()
        for index in stride(from: stampStart + EventScan.digits - 1, through: stampStart, by: -1) {
            event[index] = 0x30 + UInt8(time % 10)
            time /= 10
        }
        event.withUnsafeBytes { connection.send($0) }
    }
}
