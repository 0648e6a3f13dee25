import TunnelCore

/// Whatever is read is read again from its printed form, and a sign mirrors it.
func checkGoDuration(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    guard let value = try? GoDuration(text) else { return }
    precondition((try? GoDuration(value.description)) == value, "not what was printed")
    precondition(GoDuration(clamping: value.duration) == value, "lost in Duration")
    if bytes.first != 0x2D, bytes.first != 0x2B {
        precondition((try? GoDuration("-" + text))?.nanoseconds == 0 - value.nanoseconds, "sign")
    }
}
