internal import TunnelCore
internal import TunnelIO

/// Reads the input as a response, whole and in pieces whose sizes are its first two bytes. Both must come to the same end,
/// and no more of a body may come out than the limit allows.
func checkResponseReader(_ bytes: [UInt8]) {
    guard bytes.count > 2 else { return }
    let (first, second) = (Int(bytes[0]) + 1, Int(bytes[1]) + 1)
    let input = Array(bytes[2...])
    for limit in [0, 64, 1 << 20] {
        let whole = read([input[...]], limit)
        var pieces: [ArraySlice<UInt8>] = []
        var rest = input[...]
        while !rest.isEmpty {
            pieces.append(rest.prefix(pieces.count % 2 == 0 ? first : second))
            rest = rest.dropFirst(pieces[pieces.count - 1].count)
        }
        let split = read(pieces, limit)
        precondition(whole == split, "the end depends on the pieces")
        precondition(whole.body.count <= limit || whole.isRefused, "a body beyond the limit")
    }
}

private struct End: Equatable {
    var status = 0
    var fields: [String] = []
    var body: [UInt8] = []
    var isWhole = false
    var isRefused = false
}

private func read(_ pieces: [ArraySlice<UInt8>], _ limit: Int) -> End {
    var reader = ResponseReader(.other)
    var end = End()
    do throws(ResponseReader.Failure) {
        for piece in pieces where !end.isWhole {
            reader.buffer.append(Array(piece))
            if try reader.takeHead() { end.isWhole = try reader.takeBody(limit: limit) }
        }
        if !end.isWhole { try reader.endOfInput() }
        end.isWhole = true
        (end.status, end.body) = (reader.status, reader.body)
        end.fields = reader.fields.map { "\($0.name):\($0.value)" }
    } catch {
        end = End(isRefused: true)
    }
    return end
}
