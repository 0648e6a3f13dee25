import Synchronization
import Testing
import TunnelIO
import TunnelTestSupport

@testable import TunnelProxy

@Suite struct IdleGateTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func idleAlreadyIsNoWait() {
        #expect(IdleGate().wait(until: 0) { true })
    }

    @Test func waitsForTheCounter() {
        let gate = IdleGate()
        let left = Atomic<Int>(3)
        let waiting = OnThread {
            for _ in 0..<3 {
                left.subtract(1, ordering: .sequentiallyConsistent)
                gate.wake()
            }
            return true
        }
        let isIdle = gate.wait(until: Reactor.clock() + 20 * IdleGateTests.second) {
            left.load(ordering: .sequentiallyConsistent) == 0
        }
        #expect(isIdle)
        #expect(waiting.value() == true)
    }

    @Test func givesUpInTime() {
        #expect(!IdleGate().wait(until: Reactor.clock() + 1_000_000) { false })
    }

    @Test func anInterruptionLasts() {
        let gate = IdleGate()
        gate.interrupt()
        #expect(!gate.wait(until: Reactor.clock() + 20 * IdleGateTests.second) { false })
        #expect(!gate.wait(until: Reactor.clock() + 20 * IdleGateTests.second) { false })
        #expect(!gate.wait(until: Reactor.clock() + 1_000_000, ignoringInterrupt: true) { false })
    }
}
