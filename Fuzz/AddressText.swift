import TunnelCore

/// Text from DNS, configuration and `Host` fields to an address and back.
///
/// An address that is read is printed such that it is read back the same, and the policy's answer does not depend on
/// how the same destination is written.
func checkAddressText(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    if Array(text.utf8) == bytes { _ = try? IPPrefix(text) }
    guard let address = IPAddress(bytes.span) else { return }
    precondition(text.utf8.allSatisfy { $0 < 0x80 && $0 > 0x20 }, "text that is no address was taken")
    let printed = address.description
    precondition(IPAddress(printed) == address, "printed and read back as another address")
    precondition(IPAddress(printed)?.description == printed, "the printed form is not the canonical one")
    precondition(printed.utf8.count <= 39)
    if let whole = try? IPPrefix(printed) { precondition(whole.isSingle && whole.contains(address)) }
    precondition(address.unwrapped.embeddedIPv4 == nil, "an address inside an address inside an address")

    let policy = UpstreamPolicy(allowed: nil)
    let verdict = policy.verdict(address, port: 80)
    if verdict.isAllowed {
        let inner = address.unwrapped.v4 ?? 0
        precondition(
            inner >> 24 == 10 || inner >> 20 == 0xAC1 || inner >> 16 == 0xC0A8, "allowed by default and not private")
    }
    if let value = address.v4, let mapped = IPAddress("::ffff:\(printed)") {
        precondition(mapped.unwrapped.v4 == value && policy.verdict(mapped, port: 80) == verdict)
    }
}
