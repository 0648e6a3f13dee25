/// What protocols read in a byte.
extension UInt8 {
    /// The byte, an ASCII capital made small.
    var asciiLowercase: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }

    /// The value of a decimal digit, or `nil`.
    @inline(__always)
    var decimalDigit: UInt8? {
        let value = self &- 0x30
        return value < 10 ? value : nil
    }

    /// The value of a hexadecimal digit in either case, or `nil`.
    @inline(__always)
    var hexDigit: UInt8? {
        if let value = decimalDigit { return value }
        let value = (self | 0x20) &- 0x61
        return value < 6 ? value + 10 : nil
    }
}
