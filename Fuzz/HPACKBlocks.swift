import TunnelCore

/// Header blocks, one after another on one table: what was decoded comes back from our encoder, and what is a request is
/// one request to the parser of HTTP/1 too.
///
/// The first byte chooses the limits; then each block is preceded by its length in two bytes.
func checkHPACKBlocks(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let limits = HPACKLimits(
        maxFields: first & 1 == 0 ? 20 : 200, maxListSize: first & 2 == 0 ? 1_024 : 65_536, maxTableSize: 4_096)
    var decoder = HPACKDecoder(limits: limits)
    decoder.setTableLimit(first & 4 == 0 ? 4_096 : 256)
    var encoder = HPACKEncoder()
    var again = HPACKDecoder(limits: HPACKLimits(maxFields: 1_000, maxListSize: 1 << 20, maxTableSize: 4_096))
    var list = HPACKFieldList()
    var copy = HPACKFieldList()
    var rest = bytes.dropFirst()
    while rest.count >= 2 {
        let count = Int(rest.removeFirst()) << 8 | Int(rest.removeFirst())
        // A copy of exactly these bytes: reading past them is seen by the sanitizer.
        let block = Array(rest.prefix(count))
        rest = rest.dropFirst(count)
        do throws(HPACKError) { try decoder.decode(block.span, into: &list) } catch { return }
        precondition(decoder.tableSize <= 4_096, "table above its limit")
        precondition(list.fields.count <= limits.maxFields, "more fields than allowed")
        if list.isTooLarge { precondition(list.fields.isEmpty && list.bytes.isEmpty, "kept what is too large") }
        checkEncoded(list, &encoder, &again, &copy)
        checkRequest(&list, endsStream: first & 8 == 0)
    }
}

private func checkEncoded(
    _ list: borrowing HPACKFieldList, _ encoder: inout HPACKEncoder, _ decoder: inout HPACKDecoder,
    _ copy: inout HPACKFieldList
) {
    let bytes = list.bytes.array
    // The encoder makes small letters of capital ones.
    guard !list.fields.contains(where: { bytes[$0.name].contains { 0x41...0x5A ~= $0 } }) else { return }
    var block = ByteBuffer()
    encoder.begin(into: &block)
    for field in list.fields {
        encoder.encode(
            name: bytes.span.extracting(field.name), value: bytes.span.extracting(field.value),
            indexing: field.isNeverIndexed ? .never : .automatic, into: &block)
    }
    do throws(HPACKError) { try decoder.decode(block.array.span, into: &copy) } catch {
        preconditionFailure("our block is refused")
    }
    precondition(copy.bytes.array == bytes, "other fields")
    precondition(encoder.tableSize == decoder.tableSize, "tables out of step")
}

private func checkRequest(_ list: inout HPACKFieldList, endsStream: Bool) {
    var head = RequestHead()
    do throws(HTTPError) {
        try head.interpret(&list, endsStream: endsStream, allowsConnectProtocol: true)
    } catch { return }
    let bytes = list.bytes.array
    precondition(!endsStream || head.framing.isEmpty, "a body behind the end")
    // CONNECT is not forwarded.
    guard head.method != .connect else { return }
    var out = ByteBuffer()
    let forwarded = ForwardedFields(clientAddress: Array("192.0.2.1".utf8), isSecure: true, extent: .full)
    head.appendForwarded(bytes.span, framing: head.framing, upgrade: true, forwarded: forwarded, into: &out)
    let message = out.array
    var next = RequestHead()
    guard let size = try? next.parse(message.span, limits: HeadLimits(maxBytes: 1 << 20, maxFields: 1_000)) else {
        preconditionFailure("what we forward is refused")
    }
    precondition(size == message.count, "what we forward is two messages")
    precondition(next.framing == head.framing && next.method == head.method, "another message")
    precondition(Array(message[next.target]) == Array(bytes[head.target]), "another target")
    precondition(Array(message[next.authority]) == Array(bytes[head.authority]), "another host")
    precondition(next.isWebSocketUpgrade == head.isWebSocketUpgrade, "another upgrade")
    precondition(next.fields.filter { $0.id == .host }.count == 1, "not one Host")
}
