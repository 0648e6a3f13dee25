internal import CLinux
internal import Glibc

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
