/// Why a text is not a duration.
package struct GoDurationError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// A length of time as Go writes it: decimal numbers with units, such as `30s`, `1h30m` or `1.5s`.
///
/// The grammar is that of Go's `time.ParseDuration`: an optional sign, then `0` or one or more of a decimal number,
/// with or without a fraction, followed by `ns`, `us`, `µs`, `μs`, `ms`, `s`, `m` or `h`. There is no unit for days.
/// The value is a whole number of nanoseconds in 64 bits, some 292 years; a fraction of a nanosecond is cut off.
package struct GoDuration: Hashable, Sendable, CustomStringConvertible {
    package let nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// The nearest length of time that 64 bits of nanoseconds can hold.
    package init(clamping duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carried) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        nanoseconds = overflow || carried ? (seconds < 0 ? .min : .max) : sum
    }

    package var duration: Duration { .nanoseconds(nanoseconds) }

    /// - Throws: what is wrong, in words that fit behind a field's name; never echoes the text.
    package init(_ text: String) throws(GoDurationError) {
        var rest = Array(text.utf8)[...]
        let isNegative = rest.first == 0x2D
        if isNegative || rest.first == 0x2B { rest = rest.dropFirst() }
        guard !rest.isEmpty else { throw GoDurationError("invalid duration") }
        if rest.elementsEqual([0x30]) {
            nanoseconds = 0
            return
        }
        var total: UInt64 = 0
        while !rest.isEmpty {
            let part = try takePart(&rest)
            let (sum, overflow) = total.addingReportingOverflow(part)
            guard !overflow, sum <= 1 << 63 else { throw outOfRange }
            total = sum
        }
        if isNegative {
            // 2^63 nanoseconds exist on the negative side only.
            nanoseconds = total == 1 << 63 ? .min : -Int64(total)
        } else {
            guard total < 1 << 63 else { throw outOfRange }
            nanoseconds = Int64(total)
        }
    }

    /// As Go's `Duration.String` writes it: `1h30m0s`, `1.5s`, `300ms`, `0s`. Parsing it gives the same value.
    package var description: String {
        let magnitude = nanoseconds.magnitude
        let sign = nanoseconds < 0 ? "-" : ""
        switch magnitude {
        case 0: return "0s"
        case ..<1_000: return "\(sign)\(magnitude)ns"
        case ..<1_000_000: return "\(sign)\(decimal(magnitude, digits: 3))µs"
        case ..<1_000_000_000: return "\(sign)\(decimal(magnitude, digits: 6))ms"
        default: break
        }
        let minutes = magnitude / 60_000_000_000
        let seconds = decimal(magnitude % 60_000_000_000, digits: 9) + "s"
        if minutes == 0 { return sign + seconds }
        if minutes < 60 { return "\(sign)\(minutes)m\(seconds)" }
        return "\(sign)\(minutes / 60)h\(minutes % 60)m\(seconds)"
    }
}

private let outOfRange = GoDurationError("duration out of range")

/// One number with its unit, in nanoseconds.
private func takePart(_ rest: inout ArraySlice<UInt8>) throws(GoDurationError) -> UInt64 {
    let whole = rest.prefix(while: isDigit)
    rest = rest.dropFirst(whole.count)
    var fraction = ArraySlice<UInt8>()
    if rest.first == 0x2E {
        fraction = rest.dropFirst().prefix(while: isDigit)
        rest = rest.dropFirst(1 + fraction.count)
    }
    guard !whole.isEmpty || !fraction.isEmpty else { throw GoDurationError("invalid duration") }
    let unitName = rest.prefix { !isDigit($0) && $0 != 0x2E }
    rest = rest.dropFirst(unitName.count)
    guard !unitName.isEmpty else { throw GoDurationError("missing unit in duration") }
    guard let unit = unitNanoseconds(unitName) else { throw GoDurationError("unknown unit in duration") }

    var value: UInt64 = 0
    for digit in whole {
        let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, carried) = tens.addingReportingOverflow(UInt64(digit - 0x30))
        guard !overflow, !carried else { throw outOfRange }
        value = sum
    }
    let (scaled, overflow) = value.multipliedReportingOverflow(by: unit)
    guard !overflow else { throw outOfRange }
    // In floating point as Go does it, so that the two agree to the nanosecond; digits that no longer fit are left out.
    var numerator: UInt64 = 0, scale = 1.0
    for digit in fraction {
        guard numerator <= UInt64(Int64.max) / 10 else { break }
        let next = numerator * 10 + UInt64(digit - 0x30)
        guard next <= 1 << 63 else { break }
        numerator = next
        scale *= 10
    }
    // Below the unit, so at most 3.6e12.
    let (sum, carried) = scaled.addingReportingOverflow(UInt64(Double(numerator) * (Double(unit) / scale)))
    guard !carried else { throw outOfRange }
    return sum
}

private func unitNanoseconds(_ name: ArraySlice<UInt8>) -> UInt64? {
    switch String(decoding: name, as: UTF8.self).unicodeScalars.map(\.value) {
    case [0x6E, 0x73]: 1  // ns
    case [0x75, 0x73], [0xB5, 0x73], [0x3BC, 0x73]: 1_000  // us, with the micro sign, with a Greek mu
    case [0x6D, 0x73]: 1_000_000  // ms
    case [0x73]: 1_000_000_000  // s
    case [0x6D]: 60_000_000_000  // m
    case [0x68]: 3_600_000_000_000  // h
    default: nil
    }
}

/// `value` / 10^digits without zeros at the end.
private func decimal(_ value: UInt64, digits: Int) -> String {
    var scale: UInt64 = 1
    for _ in 0..<digits { scale *= 10 }
    var fraction = String(value % scale)
    fraction = String(repeating: "0", count: digits - fraction.count) + fraction
    while fraction.last == "0" { fraction.removeLast() }
    return fraction.isEmpty ? "\(value / scale)" : "\(value / scale).\(fraction)"
}

private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
