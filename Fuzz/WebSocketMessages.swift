import TunnelCore

/// Two readings of one input: as bytes of a hostile peer, whole and in steps, and as what two honest ends tell each other.
///
/// The first byte chooses role, compression and reading, the second the length of a step; the rest is the stream, or the
/// script of the conversation.
func checkWebSocketMessages(_ bytes: [UInt8]) {
    guard bytes.count > 2 else { return }
    let deflate = bytes[0] & 2 == 0 ? nil : parameters(bytes[0] >> 4)
    let step = Int(bytes[1]) + 1
    let rest = Array(bytes[2...])
    if bytes[0] & 4 != 0 { return converse(rest, deflate, step: step) }
    let role: WebSocketRole = bytes[0] & 1 == 0 ? .server : .client
    let whole = hear(role, deflate, rest, step: rest.count)
    for step in Set([1, step]) {
        precondition(hear(role, deflate, rest, step: step) == whole, "whole and split input disagree")
    }
}

private let maxMessageSize = 2_000

private func parameters(_ bits: UInt8) -> DeflateParameters {
    let window = bits & 4 == 0 ? 15 : 9
    return DeflateParameters(
        serverNoContextTakeover: bits & 1 != 0, clientNoContextTakeover: bits & 2 != 0, serverMaxWindowBits: window,
        clientMaxWindowBits: window)
}

private struct Story: Equatable {
    var events: [WebSocketMessages.Event] = []
    var failure: CloseCode?
    var isFinished = false
    var sent = 0
}

/// What an end makes of a stream, held to what its documentation promises.
private func hear(_ role: WebSocketRole, _ deflate: DeflateParameters?, _ stream: [UInt8], step: Int) -> Story {
    var end = WebSocketMessages(role: role, maxMessageSize: maxMessageSize, deflate: deflate)
    var story = Story()
    var output = ByteBuffer()
    var rest = stream[...]
    do throws(WebSocketError) {
        while !rest.isEmpty {
            end.receive(Array(rest.prefix(step)).span)
            rest = rest.dropFirst(step)
            while let event = try end.next(output: &output) {
                if case .closed? = story.events.last { preconditionFailure("an event after the end") }
                story.events.append(event)
            }
        }
    } catch { story.failure = error.code }
    for event in story.events {
        switch event {
        case .text(let text): precondition(text.utf8.count <= maxMessageSize, "too long a text")
        case .binary(let data): precondition(data.count <= maxMessageSize, "too long a message")
        case .ping(let data), .pong(let data): precondition(data.count <= FrameHeader.maxControlPayload)
        case .closed(let code, _): precondition(code?.isValidOnTheWire ?? true && end.isFinished, "not over")
        }
    }
    precondition(story.failure == nil || end.isFinished, "a failure that is not the end")
    let count = output.count
    if end.isFinished {
        end.receive(stream.span)
        precondition((try? end.next(output: &output)) ?? nil == nil && output.count == count, "words after the end")
    }
    (story.isFinished, story.sent) = (end.isFinished, count)
    checkSent(by: role, output.array, story)
    if deflate == nil { checkMessages(story, against: payloads(role, stream)) }
    // A text that is too long and no UTF-8 either: which of the two is seen first depends on the pieces.
    if story.failure == .messageTooBig { story.failure = .invalidPayload }
    return story
}

/// The frames' payloads put together, message by message, for a stream without compression.
private func payloads(_ role: WebSocketRole, _ stream: [UInt8]) -> [[UInt8]] {
    var decoder = FrameDecoder(role: role, maxFramePayload: maxMessageSize)
    var messages: [[UInt8]] = []
    var message: [UInt8] = []
    var rest = stream
    while !rest.isEmpty {
        var span = rest.mutableSpan
        guard let step = try? decoder.next(in: &span), step.event != .needMore else { break }
        if case .data(let range, _, _, let endOfMessage) = step.event {
            message += rest[range]
            if endOfMessage {
                messages.append(message)
                message = []
            }
        }
        rest.removeFirst(step.consumed)
    }
    return messages
}

/// Byte for byte what was sent, a text too: one that had to be mended was none.
private func checkMessages(_ story: Story, against sent: [[UInt8]]) {
    let heard: [[UInt8]] = story.events.compactMap { event in
        switch event {
        case .text(let text): Array(text.utf8)
        case .binary(let data): data
        case .ping, .pong, .closed: nil
        }
    }
    precondition(sent.starts(with: heard), "another message than was sent")
    precondition(story.failure != nil || heard.count == sent.count, "a message that was not told")
}

/// A pong for each ping, one Close frame at most, and it is the last.
private func checkSent(by role: WebSocketRole, _ bytes: [UInt8], _ story: Story) {
    var peer = WebSocketMessages(role: role == .server ? .client : .server, maxMessageSize: maxMessageSize)
    peer.receive(bytes.span)
    var output = ByteBuffer()
    var heard: [WebSocketMessages.Event] = []
    do throws(WebSocketError) {
        while let event = try peer.next(output: &output) { heard.append(event) }
    } catch { preconditionFailure("what we send is malformed: \(error)") }
    let pongs = heard.compactMap { if case .pong(let data) = $0 { data } else { [UInt8]?.none } }
    let pings = story.events.compactMap { if case .ping(let data) = $0 { data } else { [UInt8]?.none } }
    precondition(pongs == pings, "a ping without its pong")
    guard story.isFinished else { return precondition(heard.count == pings.count, "more than was asked for") }
    guard heard.count == pings.count + 1, case .closed(let code, _)? = heard.last else {
        preconditionFailure("an end without a Close frame")
    }
    precondition(story.failure == nil || code == story.failure, "another code than the failure's")
}

/// Two ends with a script: what one sends the other gets, whatever the steps are.
private func converse(_ script: [UInt8], _ deflate: DeflateParameters?, step: Int) {
    var client = WebSocketMessages(role: .client, maxMessageSize: maxMessageSize, deflate: deflate)
    var server = WebSocketMessages(role: .server, maxMessageSize: maxMessageSize, deflate: deflate)
    var fromClient = ByteBuffer(), fromServer = ByteBuffer()
    var told: [[WebSocketMessages.Event]] = [[], []]
    var rest = script.prefix(512)
    do throws(WebSocketError) {
        while let kind = rest.popFirst() {
            let count = Int(kind >> 3)
            let data = Array(rest.prefix(count))
            rest = rest.dropFirst(count)
            let isClients = kind & 1 == 0
            if isClients {
                try say(kind >> 1 & 3, data, &client, &fromClient, &told[0])
            } else {
                try say(kind >> 1 & 3, data, &server, &fromServer, &told[1])
            }
        }
        let heardByServer = try listen(&server, fromClient.array, &fromServer, step: step)
        let heardByClient = try listen(&client, fromServer.array, &fromClient, step: step)
        precondition(heardByServer == told[0], "the server heard something else")
        let pongs = told[0].compactMap { if case .ping(let data) = $0 { data } else { [UInt8]?.none } }
        let isSilent = told[1].contains { if case .closed = $0 { true } else { false } }
        let expected = isSilent ? told[1] : told[1] + pongs.map { .pong($0) }
        precondition(Array(heardByClient.prefix(expected.count)) == expected, "the client heard something else")
    } catch { preconditionFailure("honest ends fail: \(error)") }
}

private func say(
    _ kind: UInt8, _ data: [UInt8], _ end: inout WebSocketMessages, _ output: inout ByteBuffer,
    _ told: inout [WebSocketMessages.Event]
) throws(WebSocketError) {
    guard end.isOpen else { return }
    switch kind {
    case 0:
        let text = String(decoding: data, as: UTF8.self)
        try end.send(text: text, output: &output)
        told.append(.text(text))
    case 1:
        // Long, and of the kind that compresses.
        let long = Array((0..<40).map { _ in data }.joined())
        try end.send(binary: long.span, output: &output)
        told.append(.binary(long))
    case 2:
        end.ping(data.span, output: &output)
        told.append(.ping(data))
    default:
        guard data.count > 20 else { return }
        end.close(.goingAway, reason: "over", output: &output)
        told.append(.closed(.goingAway, reason: "over"))
    }
}

private func listen(
    _ end: inout WebSocketMessages, _ bytes: [UInt8], _ output: inout ByteBuffer, step: Int
) throws(WebSocketError) -> [WebSocketMessages.Event] {
    var heard: [WebSocketMessages.Event] = []
    var rest = bytes[...]
    while !rest.isEmpty {
        end.receive(Array(rest.prefix(step)).span)
        rest = rest.dropFirst(step)
        while let event = try end.next(output: &output) { heard.append(event) }
    }
    return heard
}
