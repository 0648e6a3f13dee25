import COpenSSL
import Glibc
import Synchronization
import Testing

@testable import TunnelTLS

/// What OpenSSL keeps for connections that are open and quiet, counted in its own allocations. Each test runs in a
/// process of its own, because the counters must be in place before OpenSSL's first allocation.
@Suite struct IdleMemoryTests {
    /// Measured 12,598 and 13,387; the record buffers alone would be another 33 KiB. What is left is the `SSL` with 7.4
    /// KiB, two AES contexts with 1 KiB each, the session and the keys of the exchange, and OpenSSL 3.0 has no call that
    /// frees any of them.
    static let limit = (tls12: 13_000, tls13: 14_000)

    @Test func anIdleServerHoldsNoRecordBuffers() async {
        await #expect(processExitsWith: .success) {
            for version in TLSVersion.allCases {
                let data = pattern(5_000)
                let size = try bytesPerServer(version, count: 100) { pipe in
                    try pipe.exchange(data)
                }
                let limit = version == .tls12 ? IdleMemoryTests.limit.tls12 : IdleMemoryTests.limit.tls13
                guard (10_000...limit).contains(size) else { exit(1) }
            }
        }
    }

    /// A record that is cut in two keeps its buffer only until the rest has come.
    @Test func halfARecordGivesItsBufferBackWhenWhole() async {
        await #expect(processExitsWith: .success) {
            let data = pattern(10_000)
            let half = try bytesPerServer(.tls13, count: 50) { pipe in
                try pipe.client.write(data, output: &pipe.toServer)
                let records = pipe.toServer.take()
                _ = try pipe.server.process(
                    Array(records.prefix(5_000)), plaintext: &pipe.atServer, output: &pipe.toClient)
            }
            let whole = try bytesPerServer(.tls13, count: 50) { pipe in
                try pipe.client.write(data, output: &pipe.toServer)
                try pipe.run(cut: 5_000)
            }
            guard half > IdleMemoryTests.limit.tls13 + 10_000, whole <= IdleMemoryTests.limit.tls13 else { exit(1) }
        }
    }
}

/// Live bytes of OpenSSL for each of `count` server connections after `use`; their clients are gone by then.
private func bytesPerServer(
    _ version: TLSVersion, count: Int, after use: (inout TestConnection) throws -> Void
) throws -> Int {
    // Returns 0 the second time, when the counters are in place already.
    _ = CRYPTO_set_mem_functions(countedMalloc, countedRealloc, countedFree)
    let contexts = try TestContexts(version: version, serverALPN: ["http/1.1"], clientALPN: ["http/1.1"])
    final class Held {
        var engine: TLSEngine
        init(_ engine: consuming TLSEngine) { self.engine = engine }
    }
    var held: [Held] = []
    held.reserveCapacity(count + 10)
    var before = 0
    for index in 0..<count + 10 {
        // What is made once, at the first handshakes, is not the connections'.
        if index == 10 { before = liveBytes.load(ordering: .relaxed) }
        var pipe = try TestConnection(contexts)
        try pipe.run()
        try use(&pipe)
        held.append(Held(pipe.takeServer()))
    }
    return (liveBytes.load(ordering: .relaxed) - before) / count
}

extension TestConnection {
    fileprivate mutating func exchange(_ data: [UInt8]) throws {
        try client.write(data, output: &toServer)
        try run()
        try server.write(data, output: &toClient)
        try run()
    }

    fileprivate consuming func takeServer() -> TLSEngine { server }
}

private let liveBytes = Atomic<Int>(0)
/// Before each allocation stands its size; 16 bytes, for the alignment that C wants.
private let headerSize = 16

private func countedMalloc(_ size: Int, _ file: UnsafePointer<CChar>?, _ line: CInt) -> UnsafeMutableRawPointer? {
    guard let memory = malloc(headerSize + size) else { return nil }
    memory.storeBytes(of: size, as: Int.self)
    liveBytes.add(size, ordering: .relaxed)
    return memory + headerSize
}

private func countedRealloc(
    _ old: UnsafeMutableRawPointer?, _ size: Int, _ file: UnsafePointer<CChar>?, _ line: CInt
) -> UnsafeMutableRawPointer? {
    guard let old else { return countedMalloc(size, file, line) }
    let before = (old - headerSize).load(as: Int.self)
    guard let memory = realloc(old - headerSize, headerSize + size) else { return nil }
    memory.storeBytes(of: size, as: Int.self)
    liveBytes.add(size - before, ordering: .relaxed)
    return memory + headerSize
}

private func countedFree(_ pointer: UnsafeMutableRawPointer?, _ file: UnsafePointer<CChar>?, _ line: CInt) {
    guard let pointer else { return }
    liveBytes.subtract((pointer - headerSize).load(as: Int.self), ordering: .relaxed)
    free(pointer - headerSize)
}
