import Glibc
import Testing
import TunnelIO
import TunnelTestSupport

@testable import TunnelProxy

/// Who removes the file of a Unix socket that two processes have had.
@Suite struct HandedListenersTests {
    private enum Step { case offer, withdraw, leave, take }

    /// Whether the file is there when a proxy that has done `steps` lets go of its listeners.
    private func isFileLeft(_ steps: [Step], from source: PassedListeners.Source? = nil) throws -> Bool {
        let path = "\(TestIdentity.directory)/handed-\(UInt64.random(in: 0...UInt64.max))"
        defer { unlink(path) }
        var first: Listener? = try Listener(.unix(path: path), isShared: false)
        if source != nil {
            // Another one with the same socket, as a process gets it.
            let copy = fcntl(try #require(first).descriptor, F_DUPFD_CLOEXEC, 0)
            first?.leaveFile()
            first = try Listener(adopting: copy, ownsFile: source == .predecessor)
        }
        let listeners = HandedListeners(proxy: [try #require(first)], admin: nil, from: source)
        first = nil
        for step in steps {
            switch step {
            case .offer: #expect(listeners.offer().proxy.count == 1)
            case .withdraw: listeners.withdraw()
            case .leave: listeners.leaveToSuccessor()
            case .take: listeners.takeFiles()
            }
        }
        listeners.release()
        #expect(listeners.offer().proxy.isEmpty)
        return access(path, F_OK) == 0
    }

    @Test func itGoesWithWhoBoundIt() throws {
        #expect(try !isFileLeft([]))
        #expect(try isFileLeft([.offer, .leave]))
        #expect(try isFileLeft([.leave]))
    }

    /// The one that it was offered to may serve already, and nobody has said so.
    @Test func itStaysWithAnOffer() throws {
        #expect(try isFileLeft([.offer]))
        #expect(try !isFileLeft([.offer, .withdraw]))
        #expect(try isFileLeft([.offer, .withdraw, .offer]))
    }

    /// What was never ours is not made ours by an offer that comes to nothing.
    @Test func thatOfAPredecessorIsOursOnceThatOneHasLeft() throws {
        #expect(try isFileLeft([], from: .predecessor))
        #expect(try isFileLeft([.offer, .withdraw], from: .predecessor))
        #expect(try !isFileLeft([.take], from: .predecessor))
        #expect(try isFileLeft([.offer, .take], from: .predecessor))
        #expect(try !isFileLeft([.offer, .take, .withdraw], from: .predecessor))
        #expect(try isFileLeft([.take, .offer, .leave], from: .predecessor))
    }

    @Test func thatOfAServiceManagerStays() throws {
        #expect(try isFileLeft([], from: .serviceManager))
        #expect(try isFileLeft([.offer, .withdraw, .take], from: .serviceManager))
    }
}
