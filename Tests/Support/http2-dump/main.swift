// Our HPACK in both directions and our connection in both roles, for http2_differential.py and http2_interop.py. Reads commands from standard input: a letter, a length of four
// bytes, big-endian, and so many bytes. Responds to each with a length and bytes of the same form.
//
//   L limit          our SETTINGS_HEADER_TABLE_SIZE, as acknowledged     → nothing
//   T limit          the peer's SETTINGS_HEADER_TABLE_SIZE               → nothing
//   D block          decode                                              → "+" and fields, or "-" and the error
//   E fields         encode, with the indexing that their names suggest  → the block
//   F fields         encode, each with its own indexing                  → the block
//   S limits         a connection as server: streams, stream window  → bytes to send
//   C limits         the same as client                               → bytes to send
//   R bytes          received                                         → bytes to send
//   Q request        send a request (client): its lines, after a length, then its body → bytes to send
//   X                how the client's requests went                    → text
//   G                drain                                            → bytes to send
//
// As server it echoes: the response has the method, path and query of the request and its body, and trailers if it had some.
//
// Fields are a run of: flags (bit 0: never indexed; for F 0...3: automatic, incremental, none, never), length and bytes of
// the name, length and bytes of the value.
internal import Glibc
internal import TunnelCore

/// Exactly `count` bytes of standard input; `nil` at its end.
func readInput(_ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
        let size = bytes.withUnsafeMutableBytes { read(0, $0.baseAddress.map { $0 + filled }, count - filled) }
        guard size > 0 else { return nil }
        filled += size
    }
    return bytes
}

func writeOutput(_ bytes: [UInt8]) {
    var written = 0
    while written < bytes.count {
        let size = bytes.withUnsafeBytes { write(1, $0.baseAddress.map { $0 + written }, bytes.count - written) }
        guard size > 0 else { exit(1) }
        written += size
    }
}

func number(_ bytes: some Collection<UInt8>) -> Int { bytes.reduce(0) { $0 << 8 | Int($1) } }

func fourBytes(_ value: Int) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }

struct Codec: ~Copyable {
    private var decoder = HPACKDecoder()
    private var encoder = HPACKEncoder()
    private var list = HPACKFieldList()
    private var endpoint = Endpoint(isServer: true, limits: HTTP2Limits())

    mutating func run(_ command: UInt8, _ payload: [UInt8]) -> [UInt8] {
        switch command {
        case UInt8(ascii: "L"): decoder.setTableLimit(number(payload))
        case UInt8(ascii: "T"): encoder.setTableLimit(number(payload))
        case UInt8(ascii: "D"): return decode(payload)
        case UInt8(ascii: "E"): return encode(payload, isExplicit: false)
        case UInt8(ascii: "F"): return encode(payload, isExplicit: true)
        case UInt8(ascii: "S"), UInt8(ascii: "C"):
            var limits = HTTP2Limits()
            limits.maxStreams = number(payload.prefix(4))
            limits.streamWindow = number(payload.dropFirst(4))
            endpoint = Endpoint(isServer: command == UInt8(ascii: "S"), limits: limits)
            return endpoint.output()
        case UInt8(ascii: "R"): return endpoint.receive(payload)
        case UInt8(ascii: "Q"):
            let count = number(payload.prefix(4))
            return endpoint.request(Array(payload[4..<4 + count]), body: Array(payload[(4 + count)...]))
        case UInt8(ascii: "X"): return Array(endpoint.report.utf8)
        case UInt8(ascii: "G"): return endpoint.drain()
        default: exit(2)
        }
        return []
    }

    private mutating func decode(_ block: [UInt8]) -> [UInt8] {
        do throws(HPACKError) { try decoder.decode(block.span, into: &list) } catch {
            return Array("-\(error)".utf8)
        }
        var result = Array("+".utf8)
        let bytes = list.bytes.array
        for field in list.fields {
            result.append(field.isNeverIndexed ? 1 : 0)
            for range in [field.name, field.value] { result += fourBytes(range.count) + bytes[range] }
        }
        return result
    }

    private mutating func encode(_ fields: [UInt8], isExplicit: Bool) -> [UInt8] {
        var out = ByteBuffer()
        encoder.begin(into: &out)
        var rest = fields[...]
        let ways: [HPACKIndexing] = [.automatic, .incremental, .none, .never]
        while let flags = rest.popFirst() {
            var texts: [[UInt8]] = []
            for _ in 0..<2 {
                let count = number(rest.prefix(4))
                rest = rest.dropFirst(4)
                texts.append(Array(rest.prefix(count)))
                rest = rest.dropFirst(count)
            }
            let (name, value) = (texts[0], texts[1])
            encoder.encode(
                name: name.span, value: value.span, indexing: isExplicit ? ways[Int(flags & 3)] : .automatic,
                into: &out)
        }
        return out.array
    }
}

var codec = Codec()
while let head = readInput(5), let payload = readInput(number(head[1...])) {
    let response = codec.run(head[0], payload)
    writeOutput(fourBytes(response.count) + response)
}
