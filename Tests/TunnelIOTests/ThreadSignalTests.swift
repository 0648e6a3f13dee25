import Testing
import TunnelIO

@Suite struct ThreadSignalTests {
    @Test func countsItsPosts() {
        let signal = ThreadSignal()
        signal.post()
        signal.post()
        #expect(signal.wait(milliseconds: 0))
        #expect(signal.wait(seconds: 0))
        #expect(!signal.wait(milliseconds: 1))
    }

    @Test func wakesAnotherThread() {
        let (there, back) = (ThreadSignal(), ThreadSignal())
        let answer = OnThread {
            let came = there.wait(seconds: 20)
            back.post()
            return came
        }
        there.post()
        #expect(back.wait(milliseconds: 20_000))
        #expect(answer.value() == true)
    }

    @Test func aFlagStaysSet() {
        let flag = Flag()
        #expect(!flag.isSet)
        flag.set()
        flag.set()
        #expect(flag.isSet)
    }
}
