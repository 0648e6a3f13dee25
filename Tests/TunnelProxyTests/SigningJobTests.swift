import Testing
import TunnelCore
import TunnelTLS

@testable import TunnelProxy

@Suite struct SigningJobTests {
    /// A signature costs milliseconds, and in a storm those who gave up are many.
    @Test(arguments: [false, true]) func whatIsCalledOffIsNotSigned(_ isCalledOff: Bool) throws {
        let pair = try TestIdentity.shared.get()
        let context = try TLSServerContext(
            identity: TLSIdentity(certificates: pair.certificate, privateKey: pair.key))
        var client = try TLSEngine(client: TestIdentity.client(), serverName: TestIdentity.domain)
        var server = try TLSEngine(server: context, pausesBeforeSigning: true)
        var hello = ByteBuffer()
        var plaintext = ByteBuffer()
        var output = ByteBuffer()
        try client.start(output: &hello)
        let first = hello.array
        let progress = try server.process(first.span, plaintext: &plaintext, plaintextLimit: .max, output: &output)
        #expect(progress.awaitsSignature)
        let job = SigningJob(server)
        if isCalledOff { job.callOff() }
        job.run()
        #expect(job.flight.isEmpty == isCalledOff)
        #expect(job.failure == nil)
        let hasEngine = job.takeEngine() != nil
        #expect(hasEngine)
    }
}
