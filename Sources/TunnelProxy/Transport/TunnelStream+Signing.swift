internal import TunnelCore
internal import TunnelIO

/// The signature of a full handshake, which is made off the loop.
extension TunnelStream {
    /// Lets another thread make the signature of a full handshake, which with RSA takes as long as dozens of requests.
    func sign() {
        guard let engine = transport.takeSigner() else { return }
        let job = SigningJob(engine)
        signing = job
        let isQueued = reactor.offload(to: .signatures, for: self, { job.run() }) { stream in stream.signed(job) }
        // With more handshakes waiting than that, one more is the least of it.
        if !isQueued {
            job.run()
            signed(job)
        }
    }

    private func signed(_ job: SigningJob) {
        signing = nil
        guard let engine = job.takeEngine() else { return }
        let before = plaintext.count
        let hadEnded = transport.end != nil
        transport.signed(
            engine, flight: job.flight, failure: job.failure, plaintext: &plaintext, output: &reactor.staging)
        react(hadEnded: hadEnded, wasComplete: false, before)
    }
}
