internal import CLinux
internal import Glibc
package import TunnelCore

/// Takes the reports of a descriptor that it owns. Called on the loop, never from inside another call of the handler.
package protocol ReadinessHandler: AnyObject {
    func ready(_ readiness: Readiness)
}

/// An object that a module above keeps on each loop: made for the first who asks for it, gone with the loop.
package protocol LoopResident: AnyObject {
    init(on reactor: Reactor)
    /// Called on the loop, after its last turn.
    func loopHasEnded()
}

/// Does something once behind all that the tasks of a turn did, such as sending together what they gathered.
package protocol TurnEndHandler: AnyObject {
    func turnEnded()
}

/// Where a handler is registered. A closed and reused slot has another generation, so a late report finds nobody.
package struct Registration: Equatable {
    fileprivate let slot: UInt32
    fileprivate let generation: UInt32
    fileprivate var tag: UInt64 { UInt64(generation) << 32 | UInt64(slot) }
}

/// What one loop owns and only its thread touches: the readiness table, the deadlines, the clock, shared buffers.
///
/// A descriptor is added to the poll set once, for both directions and edge-triggered, and stays until it is closed:
/// waiting for it costs no system call, and a busy connection is never added and removed. The price is that a report
/// comes once, so whoever reads goes on until nothing is left or asks to be called again; and that a report may be
/// late: it was fetched together with one whose handler closed the descriptor and opened another in its slot. So a
/// slot has a generation, which goes through the kernel beside the slot's number. Reports are fetched few at a time,
/// and the clock is read once for them.
///
/// Not `Sendable`: it is reached through ``Loop/reactor`` and by objects that live on the loop. The compiler proves by
/// that that nothing here needs a lock.
package final class Reactor {
    private struct Slot {
        var handler: (any ReadinessHandler)?
        var generation: UInt32
    }

    /// For starting tasks on this loop and for names in logs; the actor outlives its reactor's use.
    package unowned let loop: Loop
    private let poll: Poll
    private var slots: [Slot] = []
    private var freeSlots: [UInt32] = []
    /// The deadlines, and the clock by which they are set.
    let timers = TimerQueue()
    /// Handlers that stopped before their descriptor was drained, to be called again next turn.
    private var unfinished: [Registration] = []
    private var resumed: [Registration] = []
    /// To be called at the end of this turn.
    private var ending: [any TurnEndHandler] = []
    private var ended: [any TurnEndHandler] = []

    /// 64 KiB that any handler may use between two suspension points; nothing in it outlives a call.
    package let scratch: UnsafeMutableRawBufferPointer
    /// A buffer that any code may fill and must have emptied before it suspends.
    package var staging = ByteBuffer(capacity: 128 * 1024)
    /// Spare buffers for bytes that must outlive a turn.
    package var buffers = BufferPool()

    /// How long events had to wait for their turn.
    package private(set) var lag = LagHistogram()

    /// What the program that runs on this loop hangs on it, to be found from a task.
    package var context: AnyObject?
    /// Name resolution for this loop.
    package private(set) lazy var resolver = Resolver(self, loop.names)
    private var residents: [ObjectIdentifier: any LoopResident] = [:]

    package static let scratchSize = 64 * 1024

    init(loop: Loop, poll: Poll) {
        self.loop = loop
        self.poll = poll
        timers.now = Reactor.clock()
        scratch = .allocate(byteCount: Reactor.scratchSize, alignment: 64)
    }

    deinit {
        timers.disown()
        scratch.deallocate()
    }

    /// The one object of that type on this loop.
    package func resident<Resident: LoopResident>(_ type: Resident.Type) -> Resident {
        if let resident = residents[ObjectIdentifier(type)] as? Resident { return resident }
        let resident = Resident(on: self)
        residents[ObjectIdentifier(type)] = resident
        return resident
    }

    func endResidents() {
        for resident in residents.values { resident.loopHasEnded() }
        residents = [:]
    }

    // MARK: Tasks

    /// Starts a second task on this loop that works on an object of this loop.
    package func spawn<Value: AnyObject>(with value: Value, _ body: @escaping @Sendable (Value) async -> Void) {
        let bound = Bound(value: value)
        loop.spawn { _ in await body(bound.value) }
    }

    /// Carries an object of this loop into a task of this loop.
    private struct Bound<Value: AnyObject>: @unchecked Sendable {
        // SAFETY: made on the loop by `spawn`, and read only in the task that `spawn` starts on the same loop.
        let value: Value
    }

    /// Lets a thread of `pool` do `work`, and goes on with `finish` on this loop.
    ///
    /// - Returns: `false`, and nothing was done, when too much waits for these threads already.
    package func offload<Owner: AnyObject>(
        to pool: BlockingPool, for owner: Owner, _ work: @escaping @Sendable () -> Void,
        then finish: @escaping @Sendable (Owner) -> Void
    ) -> Bool {
        let (bound, loop) = (Bound(value: owner), loop)
        return pool.submit {
            work()
            loop.spawn { _ in finish(bound.value) }
        }
    }

    // MARK: Readiness

    /// Watches a connected or connecting descriptor until ``deregister(_:)``.
    package func register(_ fd: CInt, _ handler: any ReadinessHandler) throws(IOError) -> Registration {
        let registration = allocateSlot(handler)
        do { try poll.add(fd, tag: registration.tag) } catch {
            deregister(registration)
            throw error
        }
        return registration
    }

    /// Watches a listening descriptor; `isShared` when other loops watch the same one.
    package func registerListener(
        _ fd: CInt, isShared: Bool, _ handler: any ReadinessHandler
    ) throws(IOError) -> Registration {
        let registration = allocateSlot(handler)
        do { try poll.addListener(fd, tag: registration.tag, isShared: isShared) } catch {
            deregister(registration)
            throw error
        }
        return registration
    }

    /// Forgets the handler. The caller closes the descriptor, which takes it out of the poll set.
    package func deregister(_ registration: Registration) {
        let index = Int(registration.slot)
        guard slots[index].generation == registration.generation else { return }
        slots[index].handler = nil
        slots[index].generation &+= 1
        freeSlots.append(registration.slot)
    }

    /// Stops watching a listening descriptor, which stays open.
    package func deregisterListener(_ fd: CInt, _ registration: Registration) {
        poll.remove(fd)
        deregister(registration)
    }

    /// Hands a watched descriptor to another handler.
    func replaceHandler(of registration: Registration, with handler: any ReadinessHandler) {
        slots[Int(registration.slot)].handler = handler
    }

    /// Calls the handler once more next turn, for one that stopped early so that others get their share.
    package func callAgain(_ registration: Registration) { unfinished.append(registration) }

    /// Calls the handler when the tasks of this turn have run, before the next readiness is looked at. It is held until then.
    package func callAtTurnEnd(_ handler: any TurnEndHandler) { ending.append(handler) }

    private func allocateSlot(_ handler: any ReadinessHandler) -> Registration {
        if let slot = freeSlots.popLast() {
            slots[Int(slot)].handler = handler
            return Registration(slot: slot, generation: slots[Int(slot)].generation)
        }
        slots.append(Slot(handler: handler, generation: 1))
        return Registration(slot: UInt32(slots.count - 1), generation: 1)
    }

    private func handler(of registration: Registration) -> (any ReadinessHandler)? {
        let index = Int(registration.slot)
        guard index < slots.count, slots[index].generation == registration.generation else { return nil }
        return slots[index].handler
    }

    // MARK: Time

    /// The clock itself, for measuring inside a turn.
    package static func clock() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    // MARK: The turn

    /// Calls those that asked for it at the end of this turn, each once.
    func endTurn() {
        guard !ending.isEmpty else { return }
        swap(&ending, &ended)
        for handler in ended { handler.turnEnded() }
        ended.removeAll(keepingCapacity: true)
    }

    /// Waits for readiness, unless there is work already, and hands it out; then runs the deadlines that are due.
    func turn(isBusy: Bool) {
        let mayWait = !isBusy && unfinished.isEmpty && ending.isEmpty
        // What became ready since the last poll has waited until this one.
        let polled = mayWait ? Reactor.clock() : 0
        let count = poll.wait(milliseconds: mayWait ? timeout(polled) : 0)
        let now = Reactor.clock()
        let away = (mayWait ? polled : now) &- timers.now
        timers.now = now
        lag.record(max(away, now &- min(timers.next ?? now, now)))
        for index in 0..<count {
            let (readiness, tag) = poll.event(index)
            if tag == Poll.wakeTag {
                loop.executor.clearWake()
                continue
            }
            let registration = Registration(slot: UInt32(truncatingIfNeeded: tag), generation: UInt32(tag >> 32))
            handler(of: registration)?.ready(readiness)
        }
        if !unfinished.isEmpty {
            swap(&unfinished, &resumed)
            for registration in resumed { handler(of: registration)?.ready([]) }
            resumed.removeAll(keepingCapacity: true)
        }
        while let action = timers.popDue(now: timers.now) { action() }
    }

    /// How long the poll may wait, rounded up so that a deadline is due when it returns.
    private func timeout(_ now: UInt64) -> CInt {
        guard let next = timers.next else { return -1 }
        return next <= now ? 0 : CInt(clamping: (next - now + 999_999) / 1_000_000)
    }
}

/// One epoll descriptor and the eventfd that ends a wait from another thread.
final class Poll: Sendable {
    let descriptor: CInt
    let wakeDescriptor: CInt
    // SAFETY: written by the kernel inside `wait` and read after it, both only on the loop's thread.
    nonisolated(unsafe) private let events: UnsafeMutablePointer<CLinux_event>
    /// Few, so that the tasks which a report wakes run while its bytes are still in the cache, and give their buffers
    /// back before the next reports need some.
    static let batch = 16
    /// The tag of the eventfd; slots never reach it.
    static let wakeTag = UInt64.max

    init() throws(IOError) {
        let descriptor = CLinux_epoll_create()
        guard descriptor >= 0 else { throw .fromErrno("epoll_create") }
        let wake = CLinux_eventfd()
        guard wake >= 0, CLinux_epoll_add(descriptor, wake, CLinux_EPOLLIN(), Poll.wakeTag) == 0 else {
            let error = IOError.fromErrno("eventfd")
            close(descriptor)
            throw error
        }
        (self.descriptor, wakeDescriptor) = (descriptor, wake)
        events = .allocate(capacity: Poll.batch)
    }

    deinit {
        events.deallocate()
        close(wakeDescriptor)
        close(descriptor)
    }

    /// Watches a descriptor for its whole life, edge-triggered, in both directions.
    func add(_ fd: CInt, tag: UInt64) throws(IOError) {
        let interest = CLinux_EPOLLIN() | CLinux_EPOLLOUT() | CLinux_EPOLLRDHUP() | CLinux_EPOLLET()
        guard CLinux_epoll_add(descriptor, fd, interest, tag) == 0 else { throw .fromErrno("epoll_ctl") }
    }

    /// Watches a listening descriptor, level-triggered, so that what one turn leaves in the queue is reported again.
    func addListener(_ fd: CInt, tag: UInt64, isShared: Bool) throws(IOError) {
        let interest = CLinux_EPOLLIN() | (isShared ? CLinux_EPOLLEXCLUSIVE() : 0)
        guard CLinux_epoll_add(descriptor, fd, interest, tag) == 0 else { throw .fromErrno("epoll_ctl") }
    }

    func remove(_ fd: CInt) { _ = CLinux_epoll_remove(descriptor, fd) }

    /// Waits for readiness; the number of reports, to be read with ``event(_:)``.
    func wait(milliseconds: CInt) -> Int {
        Int(max(0, CLinux_epoll_wait(descriptor, events, CInt(Poll.batch), milliseconds)))
    }

    func event(_ index: Int) -> (readiness: Readiness, tag: UInt64) {
        (Readiness(epoll: events[index].events), events[index].data)
    }
}

/// What a descriptor is ready for.
package struct Readiness: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let read = Readiness(rawValue: 1)
    package static let write = Readiness(rawValue: 2)
    /// The peer has ended its direction, or the descriptor is in error: a read after the buffered bytes will say which.
    package static let hangUp = Readiness(rawValue: 4)

    init(epoll events: UInt32) {
        self = []
        if events & CLinux_EPOLLIN() != 0 { insert(.read) }
        if events & CLinux_EPOLLOUT() != 0 { insert(.write) }
        if events & (CLinux_EPOLLRDHUP() | CLinux_EPOLLHUP() | CLinux_EPOLLERR()) != 0 {
            formUnion([.hangUp, .read, .write])
        }
    }
}
