/// Finds in the first bytes of a JSON-RPC request what it is about: its `method`, and the `name` or `uri` in its `params`.
///
/// For requests that do not say so in a field (MCP before 2026-07-28). It is shown the bytes as they pass by, in any pieces,
/// keeps none but the texts it looks for, and gives up at ``limit``: it is for a log, not for a decision. It does not judge:
/// where JSON ends to be JSON, it looks no further. Of two members with the same name the first counts.
package struct JSONRPCScanner: ~Copyable {
    /// Bytes of a body that are looked at.
    package static let limit = 8_192
    /// Bytes of a text that are kept; whoever shows it says that there is more.
    package static let maxText = 1_025

    /// What comes next, outside of strings.
    private enum Place: UInt8 {
        /// The object that is the request.
        case start
        /// A key, or the end of the object. Behind a comma there may not be an end.
        case key, keyBehindComma
        case colon
        case value
        /// A comma, or the end of the object.
        case behindValue
        /// Inside of a number, `true`, `false` or `null`.
        case word
        /// Inside of what nobody looks for; ``nesting`` brackets end it.
        case skipping
        case done
    }

    /// What becomes of the string that is being read.
    private enum Target: UInt8 { case nothing, key, method, name, uri }

    /// Inside a string: behind a backslash, or in the digits of `\u`.
    private enum Escape: Equatable {
        case none
        case backslash
        case digits(Int, value: UInt32)
    }

    /// The keys that mean something, by where they stand.
    private enum Key: UInt8 { case other, method, params, name, uri }

    private var place = Place.done
    private var isInString = false
    private var escape = Escape.none
    /// The first half of a character beyond U+FFFF, which `\u` writes in two.
    private var highSurrogate: UInt32 = 0
    private var target = Target.nothing
    /// Inside `params`, and not in the request itself.
    private var isInParams = false
    private var nesting = 0
    private var key = Key.other
    /// A key as far as it is of interest.
    private var keyText = InlineArray<8, UInt8>(repeating: 0)
    private var keyCount = 0
    private var left = 0

    private var texts = ByteBuffer()
    private var start = 0
    private var found: (method: Range<Int>?, name: Range<Int>?, uri: Range<Int>?)

    package init() { found = (nil, nil, nil) }

    /// Begins anew with the body of another request.
    package mutating func begin() {
        stop()
        (place, isInString, escape, isInParams, nesting) = (.start, false, .none, false, 0)
        left = Self.limit
    }

    /// Looks no further, and forgets what was found.
    package mutating func stop() {
        place = .done
        found = (nil, nil, nil)
        if texts.capacity > 512 { texts.release() } else { texts.removeAll() }
    }

    /// It looks for more.
    package var isActive: Bool { place != .done }

    package var hasMethod: Bool { found.method != nil }

    /// The method; not called where none was found.
    package func withMethod(_ body: (Span<UInt8>) -> Void) {
        guard let range = found.method else { return }
        texts.withBytes { body($0.extracting(range)) }
    }

    /// What `Mcp-Name` would say (MCP 2026-07-28): the name of the tool or prompt, or the URI of the resource. Not called for
    /// other methods, nor where it was not found.
    package func withName(_ body: (Span<UInt8>) -> Void) {
        guard let range = wanted else { return }
        texts.withBytes { body($0.extracting(range)) }
    }

    private enum Kind { case named, located, other }

    private var kind: Kind {
        guard let method = found.method else { return .other }
        return texts.withBytes { bytes in
            bytes.matches(method, "tools/call") || bytes.matches(method, "prompts/get")
                ? .named : bytes.matches(method, "resources/read") ? .located : .other
        }
    }

    private var wanted: Range<Int>? {
        switch kind {
        case .named: found.name
        case .located: found.uri
        case .other: nil
        }
    }

    // MARK: Bytes

    /// Looks at the next bytes of the body.
    package mutating func look(at bytes: Span<UInt8>) {
        var index = 0
        let end = min(bytes.count, left)
        left -= end
        while index < end, place != .done {
            if isInString {
                index = readString(bytes, from: index, to: end)
            } else {
                read(bytes[index])
                index += 1
            }
        }
        if left == 0, place != .done { giveUp() }
    }

    /// What has begun is not whole.
    private mutating func giveUp() {
        if isInString, target == .method || target == .name || target == .uri { texts.truncate(to: start) }
        place = .done
    }

    private mutating func read(_ byte: UInt8) {
        switch byte {
        case HTTPByte.space, HTTPByte.tab, HTTPByte.lineFeed, HTTPByte.carriageReturn:
            if place == .word { place = .behindValue }
            return
        default: break
        }
        switch place {
        case .start: place = byte == UInt8(ascii: "{") ? .key : .done
        case .key, .keyBehindComma:
            if byte == HTTPByte.quote { return beginString(.key) }
            if byte == UInt8(ascii: "}"), place == .key { endObject() } else { place = .done }
        case .colon: place = byte == HTTPByte.colon ? .value : .done
        case .value: beginValue(byte)
        case .word where byte != HTTPByte.comma && byte != UInt8(ascii: "}"): break
        case .behindValue, .word:
            if byte == HTTPByte.comma {
                place = .keyBehindComma
            } else if byte == UInt8(ascii: "}") {
                endObject()
            } else {
                place = .done
            }
        case .skipping: skip(byte)
        case .done: break
        }
    }

    private mutating func beginValue(_ byte: UInt8) {
        switch byte {
        case HTTPByte.quote:
            switch key {
            case .method where found.method == nil: beginString(.method)
            case .name where found.name == nil: beginString(.name)
            case .uri where found.uri == nil: beginString(.uri)
            default: beginString(.nothing)
            }
        case UInt8(ascii: "{") where key == .params: (isInParams, place) = (true, .key)
        case UInt8(ascii: "{"), UInt8(ascii: "["): (nesting, place) = (1, .skipping)
        case HTTPByte.hyphen, 0x30...0x39, UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): place = .word
        default: place = .done
        }
    }

    private mutating func skip(_ byte: UInt8) {
        switch byte {
        case HTTPByte.quote: beginString(.nothing)
        case UInt8(ascii: "{"), UInt8(ascii: "["): nesting += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            nesting -= 1
            if nesting == 0 { place = .behindValue }
        default: break
        }
    }

    private mutating func endObject() {
        place = isInParams ? .behindValue : .done
        isInParams = false
    }

    // MARK: Strings

    private mutating func beginString(_ target: Target) {
        (isInString, self.target, escape, highSurrogate) = (true, target, .none, 0)
        keyCount = 0
        start = texts.count
    }

    /// - Returns: the index behind what was read.
    private mutating func readString(_ bytes: Span<UInt8>, from first: Int, to end: Int) -> Int {
        var index = first
        while index < end {
            if case .none = escape {
                let run = index..<plainEnd(bytes, from: index, to: end)
                if !run.isEmpty { keep(bytes.extracting(run)) }
                index = run.upperBound
                if index == end { return end }
            }
            let byte = bytes[index]
            index += 1
            switch escape {
            case .none:
                if byte == HTTPByte.quote {
                    endString()
                    return index
                }
                // RFC 8259 §7: control characters are not for strings.
                if byte == HTTPByte.backslash { escape = .backslash } else { giveUp() }
            case .backslash: unescape(byte)
            case .digits(let count, let value):
                guard let digit = byte.hexDigit else {
                    giveUp()
                    return index
                }
                let value = value << 4 | UInt32(digit)
                if count < 3 {
                    escape = .digits(count + 1, value: value)
                } else {
                    escape = .none
                    takeUnit(value)
                }
            }
            if place == .done { return index }
        }
        return index
    }

    /// Where the bytes end that stand for themselves.
    private func plainEnd(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
        var index = start
        while index < end, bytes[index] >= 0x20, bytes[index] != HTTPByte.quote, bytes[index] != HTTPByte.backslash {
            index += 1
        }
        return index
    }

    private mutating func unescape(_ byte: UInt8) {
        escape = .none
        switch byte {
        case HTTPByte.quote, HTTPByte.backslash, HTTPByte.slash: take(byte)
        case UInt8(ascii: "b"): take(0x08)
        case UInt8(ascii: "f"): take(0x0C)
        case UInt8(ascii: "n"): take(0x0A)
        case UInt8(ascii: "r"): take(0x0D)
        case UInt8(ascii: "t"): take(0x09)
        case UInt8(ascii: "u"): escape = .digits(0, value: 0)
        default: giveUp()
        }
    }

    /// A unit of UTF-16. A half without its other half stands for U+FFFD.
    private mutating func takeUnit(_ unit: UInt32) {
        switch unit {
        case 0xD800...0xDBFF:
            if highSurrogate != 0 { takeScalar(0xFFFD) }
            highSurrogate = unit
        case 0xDC00...0xDFFF where highSurrogate != 0:
            let scalar = 0x10000 + (highSurrogate - 0xD800) << 10 + (unit - 0xDC00)
            highSurrogate = 0
            takeScalar(scalar)
        case 0xDC00...0xDFFF: takeScalar(0xFFFD)
        default:
            endSurrogate()
            takeScalar(unit)
        }
    }

    private mutating func endSurrogate() {
        guard highSurrogate != 0 else { return }
        highSurrogate = 0
        takeScalar(0xFFFD)
    }

    private mutating func takeScalar(_ value: UInt32) {
        func rest(_ shift: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: value >> shift) & 0x3F | 0x80 }
        switch value {
        case ..<0x80: keep(UInt8(truncatingIfNeeded: value))
        case ..<0x800:
            keep(UInt8(truncatingIfNeeded: value >> 6) | 0xC0)
            keep(rest(0))
        case ..<0x10000:
            keep(UInt8(truncatingIfNeeded: value >> 12) | 0xE0)
            keep(rest(6))
            keep(rest(0))
        default:
            keep(UInt8(truncatingIfNeeded: value >> 18) | 0xF0)
            keep(rest(12))
            keep(rest(6))
            keep(rest(0))
        }
    }

    private mutating func take(_ byte: UInt8) {
        endSurrogate()
        keep(byte)
    }

    private mutating func keep(_ run: Span<UInt8>) {
        endSurrogate()
        switch target {
        case .nothing: break
        case .key: for index in run.indices { keep(run[index]) }
        case .method, .name, .uri:
            let room = Self.maxText - (texts.count - start)
            texts.append(run.extracting(0..<min(room, run.count)))
        }
    }

    private mutating func keep(_ byte: UInt8) {
        switch target {
        case .nothing: break
        case .key:
            if keyCount < 8 { keyText[keyCount] = byte }
            keyCount += 1
        case .method, .name, .uri:
            if texts.count - start < Self.maxText { texts.append(byte) }
        }
    }

    private mutating func endString() {
        endSurrogate()
        isInString = false
        let text = start..<texts.count
        switch target {
        case .key:
            key = recogniseKey()
            place = .colon
            return
        case .method: found.method = text
        case .name: found.name = text
        case .uri: found.uri = text
        case .nothing where place == .skipping: return
        case .nothing: break
        }
        place = .behindValue
        // All that will be asked for is there.
        if found.method != nil, kind == .other || wanted != nil { place = .done }
    }

    private func recogniseKey() -> Key {
        guard keyCount <= 8 else { return .other }
        let (text, bytes) = (0..<keyCount, keyText.span)
        if isInParams { return bytes.matches(text, "name") ? .name : bytes.matches(text, "uri") ? .uri : .other }
        return bytes.matches(text, "method") ? .method : bytes.matches(text, "params") ? .params : .other
    }
}
