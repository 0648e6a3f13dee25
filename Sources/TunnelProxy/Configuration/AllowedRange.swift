private import TunnelCore

/// What is wrong with an entry of `upstream.allowed_ips`, or `nil` if it is an IPv4 or IPv6 address or a range of them
/// in CIDR form (RFC 4632 §3.1, RFC 4291 §2.3).
func validateAllowedRange(_ text: String) -> String? {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = parts.first else { return "not an IP address or CIDR range" }
    let bits: Int
    if AddressSyntax.isIPv4(address) {
        bits = 32
    } else if AddressSyntax.isIPv6(address) {
        bits = 128
    } else {
        return "not an IP address or CIDR range"
    }
    guard parts.count == 1 || AddressSyntax.number(parts[1].utf8, upTo: bits) != nil else {
        return "the number of bits behind '/' must be 0 to \(bits)"
    }
    return nil
}
