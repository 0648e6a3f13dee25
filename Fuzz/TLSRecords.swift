import TunnelCore
import TunnelTLS

/// TLS records from a hostile peer: whatever comes, and however it is cut, an engine ends the same way.
///
/// The first byte chooses the engine and what is fed to it, the second where the cut is.
func checkTLSRecords(_ bytes: [UInt8]) {
    guard bytes.count >= 2, bytes.count <= 1 << 17, let fixture = TLSRecordsFixture.shared else { return }
    let mode = TLSRecordsFixture.Mode(rawValue: bytes[0] & 3) ?? .freshServer
    let input = Array(bytes[2...])
    // The same cut each time, so that the two halves of an established connection get the same flights.
    let pieceSize = Int(bytes[1]) + 1
    guard let whole = fixture.outcome(mode, input, pieceSize: .max),
        let split = fixture.outcome(mode, input, pieceSize: pieceSize)
    else { return }
    precondition(whole == split, "a cut changes the outcome: \(whole), \(split)")
}

private struct TLSRecordsFixture: Sendable {
    enum Mode: UInt8 {
        /// The input is all a new server sees.
        case freshServer
        /// The input is all a new client sees.
        case freshClient
        /// The input comes after the handshake.
        case establishedServer
        /// A genuine flight of data, key update and close comes after the handshake, changed by the input.
        case changedFlight
    }

    struct Outcome: Equatable {
        var hasFailed = false
        var alert: TLSAlert?
        var isComplete = false
        var isClosed = false
        var plaintext: [UInt8] = []
    }

    static let shared = try? TLSRecordsFixture()
    let server: TLSServerContext
    let client: TLSClientContext

    init() throws {
        server = try FuzzIdentity.server()
        client = try FuzzIdentity.client()
    }

    func outcome(_ mode: Mode, _ input: [UInt8], pieceSize: Int) -> Outcome? {
        guard var near = try? TLSEngine(server: server),
            var far = try? TLSEngine(client: client, serverName: "localhost")
        else { return nil }
        var toNear = ByteBuffer(), toFar = ByteBuffer(), plaintext = ByteBuffer()
        guard (try? far.start(output: &toNear)) != nil else { return nil }
        switch mode {
        case .freshServer: return drive(&near, input, pieceSize)
        case .freshClient: return drive(&far, input, pieceSize)
        case .establishedServer, .changedFlight: break
        }
        while !near.isHandshakeComplete || !far.isHandshakeComplete {
            let there = toNear.array, back: [UInt8]
            toNear.removeAll()
            guard feed(&near, there, &plaintext, &toFar) != nil else { return nil }
            back = toFar.array
            toFar.removeAll()
            guard feed(&far, back, &plaintext, &toNear) != nil else { return nil }
        }
        guard mode == .changedFlight else { return drive(&near, input, pieceSize) }
        for size in [1, 300, 17_000] {
            let data = [UInt8](repeating: UInt8(truncatingIfNeeded: size), count: size)
            guard (try? data.withUnsafeBytes { try far.write($0, output: &toNear) }) != nil else { return nil }
        }
        far.close(output: &toNear)
        var flight = toNear.array
        for (index, change) in input.enumerated() where index < flight.count { flight[index] ^= change }
        return drive(&near, flight, pieceSize)
    }

    private func drive(_ engine: inout TLSEngine, _ input: [UInt8], _ pieceSize: Int) -> Outcome {
        var outcome = Outcome()
        var plaintext = ByteBuffer(), output = ByteBuffer()
        var rest = input[...]
        while !rest.isEmpty, !outcome.hasFailed {
            let piece = Array(rest.prefix(pieceSize))
            rest = rest.dropFirst(piece.count)
            do {
                let progress = try piece.withUnsafeBytes {
                    try engine.process($0, plaintext: &plaintext, plaintextLimit: .max, output: &output)
                }
                precondition(progress.consumed == piece.count && !progress.hasPending)
            } catch {
                outcome.hasFailed = true
                outcome.alert = (error as? TLSError)?.alert
            }
        }
        outcome.isComplete = engine.isHandshakeComplete
        outcome.isClosed = engine.isClosed
        outcome.plaintext = plaintext.array
        return outcome
    }

    private func feed(
        _ engine: inout TLSEngine, _ bytes: [UInt8], _ plaintext: inout ByteBuffer, _ output: inout ByteBuffer
    ) -> TLSEngine.Progress? {
        try? bytes.withUnsafeBytes {
            try engine.process($0, plaintext: &plaintext, plaintextLimit: .max, output: &output)
        }
    }
}
