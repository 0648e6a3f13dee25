import Glibc
import Testing
import TunnelCore
import TunnelIO
import TunnelTestSupport

@testable import TunnelProxy

@Suite struct TunnelStreamLossTests {
    /// A far side that closes its socket behind its goodbye answers ours with a reset. What it said stays said.
    @Test(arguments: [true, false]) func aResetBehindAnOrderlyEnd(_ isOrderly: Bool) throws {
        let outcome = try onLoop { loop in
            let rig = try StreamRig(on: loop.reactor)
            try rig.shakeHands()
            var said = try rig.far.encrypted(Array("last words".utf8))
            if isOrderly { said += rig.far.closeNotify() + rig.far.closeFrame(.normal) }
            rig.deliver(said)
            rig.stream.socketFailed(IOError(.system(ECONNRESET), "read"))
            var words = ByteBuffer()
            let first = try rig.stream.receive(into: &words, limit: 100)
            let second = try? rig.stream.receive(into: &words, limit: 100)
            return "\(first) \(second.map { "\($0)" } ?? "an error") \(rig.stream.ended.map { "\($0)" } ?? "")"
        }
        #expect(outcome == "bytes(10) " + (isOrderly ? "end orderly" : "an error lost"))
    }
}
