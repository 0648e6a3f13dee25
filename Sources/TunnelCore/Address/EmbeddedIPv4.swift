/// An IPv4 address carried inside an IPv6 address, and by which convention.
///
/// Every convention is a way to name an IPv4 machine without writing IPv4, so a policy on addresses looks inside first.
/// A network's own translation prefix (RFC 6052 §2.2) and 6rd (RFC 5969) cannot be told from plain IPv6 and are not
/// found here; they lie in ordinary IPv6 space, which a policy refuses unless it is listed.
public struct EmbeddedIPv4: Hashable, Sendable {
    @nonexhaustive
    public enum Form: String, Sendable, CaseIterable {
        /// `::ffff:0:0/96`, RFC 4291 §2.5.5.2: the kernel itself dials IPv4.
        case mapped
        /// `64:ff9b::/96`, RFC 6052 §2.1: the well-known prefix of NAT64.
        case nat64
        /// `64:ff9b:1::/48`, RFC 8215, in the form `64:ff9b:1::a.b.c.d`.
        case nat64Local
        /// `64:ff9b:1::/48` in any other form. Depending on the length that the network chose (48, 56, 64 or 96,
        /// RFC 6052 §2.2), a translator reads one of four different IPv4 addresses out of it; `address` is that of 96.
        case nat64LocalAmbiguous
        /// `::ffff:0:0:0/96`, RFC 2765 §2.1 (obsolete): IPv4-translated.
        case translated
        /// `::/96` without `::` and `::1`, RFC 4291 §2.5.5.1 (deprecated): IPv4-compatible.
        case compatible
        /// `2002::/16`, RFC 3056 §2: 6to4, tunnelled to the address in bits 16 to 47.
        case sixToFour
        /// `2001::/32`, RFC 4380 §4: Teredo, the client's address in the last 32 bits, each inverted.
        case teredo
        /// Interface identifier `::0:5efe:a.b.c.d` or `::200:5efe:a.b.c.d`, RFC 5214 §6.1: ISATAP, below any prefix.
        case isatap

        /// Whether packets for the IPv6 address can end nowhere but at the IPv4 address.
        ///
        /// The others are tunnel endpoints, or look like them: the same bits may also be routed as plain IPv6, for
        /// example to a public host that gave itself an ISATAP identifier with a private address in it.
        public var isSameDestination: Bool {
            switch self {
            case .mapped, .nat64, .nat64Local: true
            case .nat64LocalAmbiguous, .translated, .compatible, .sixToFour, .teredo, .isatap: false
            }
        }
    }

    public let form: Form
    /// The inner address, always IPv4.
    public let address: IPAddress
}

extension IPAddress {
    /// The IPv4 address inside this one, or `nil` for IPv4 and for plain IPv6.
    public var embeddedIPv4: EmbeddedIPv4? {
        guard !isIPv4 else { return nil }
        let last = UInt32(truncatingIfNeeded: low)
        func found(_ form: EmbeddedIPv4.Form, _ value: UInt32) -> EmbeddedIPv4 {
            EmbeddedIPv4(form: form, address: IPAddress(v4: value))
        }
        if high == 0 {
            switch low >> 32 {
            case 0: return low > 1 ? found(.compatible, last) : nil
            case 0xFFFF: return found(.mapped, last)
            case 0xFFFF_0000: return found(.translated, last)
            default: break
            }
        }
        if high == 0x0064_FF9B_0000_0000, low >> 32 == 0 { return found(.nat64, last) }
        if high >> 16 == 0x0064_FF9B_0001 {
            let isPlain = high & 0xFFFF == 0 && low >> 32 == 0
            return found(isPlain ? .nat64Local : .nat64LocalAmbiguous, last)
        }
        if high >> 48 == 0x2002 { return found(.sixToFour, UInt32(truncatingIfNeeded: high >> 16)) }
        if high >> 32 == 0x2001_0000 { return found(.teredo, ~last) }
        // The `u` bit (0x0200) is set when the inner address is globally unique; both are ISATAP.
        if low >> 32 & ~0x0200_0000 == 0x5EFE { return found(.isatap, last) }
        return nil
    }

    /// The IPv4 address inside this one where there is one, else this address.
    public var unwrapped: IPAddress { embeddedIPv4?.address ?? self }

    /// The IPv4 address that is dialled when this one is: only where the two are the same destination.
    var destination: IPAddress {
        guard let embedded = embeddedIPv4, embedded.form.isSameDestination else { return self }
        return embedded.address
    }
}
