extension Socket {
    /// Sends what was written, says that no more will come, and waits for the peer to end as well: bytes of it that nobody reads
    /// would turn the end into a reset, which may take with it what the peer has not read yet (RFC 9112 §9.6).
    ///
    /// - Parameter limit: nanoseconds, after which it is closed anyhow.
    package func closeInOrder(within limit: UInt64) async {
        let deadline = Deadline(on: reactor) { [unowned self] in close(IOError(.timedOut, "close")) }
        deadline.set(after: limit)
        do throws(IOError) {
            try await flush()
            shutdownWrite()
            var reads = 0
            while true {
                if let count = try receive(into: reactor.scratch) {
                    if count == 0 { break }
                    reads += 1
                    // A peer that sends without end must not keep the deadline, or anybody else, from their turn.
                    if reads.isMultiple(of: 4) { await Task.yield() }
                } else {
                    await readable()
                }
            }
        } catch {}
        deadline.cancel()
        close()
    }
}
