/// Addresses that no range opens: each is refused unless it is listed by itself.
enum SpecialAddresses {
    /// Addresses at which a cloud hands credentials and machine data to whoever asks from inside, and which lie outside
    /// the link-local ranges. From the providers' documentation:
    static let metadata: [IPPrefix] = [
        // Alibaba Cloud ECS instance metadata, over IPv4 and IPv6.
        v4(100, 100, 100, 200), v6(0xFD00_0100_0000_0000, 0x0000_0000_0100_0200),
        // Azure's host agent and WireServer ("What is IP address 168.63.129.16?").
        v4(168, 63, 129, 16),
        // Oracle Cloud Infrastructure Classic; its successor over IPv6.
        v4(192, 0, 0, 192), v6(0xFD00_00C1_0000_0000, 0x0000_0000_A9FE_A9FE),
        // AWS: EC2 metadata at fd00:ec2::254, EKS pod identity at ::23, resolver and clock. All of fd00:ec2::/32 is
        // taken by its services on the instance.
        v6(0xFD00_0EC2_0000_0000, 0, length: 32),
        // Google Cloud, instances with IPv6 only.
        v6(0xFD20_00CE_0000_0000, 0x0254),
        // Scaleway; Akamai (Linode).
        v6(0xFD00_0042_0000_0000, 0x0042), v6(0xFD00_A9FE_A9FE_0000, 0x0001),
    ]

    /// 169.254.169.254 (AWS, Azure, Google, Oracle, OpenStack, …), 169.254.170.2 and .23 (AWS ECS and EKS),
    /// 169.254.0.23 (Tencent), 169.254.42.42 (Scaleway), fe80::a9fe:a9fe (OpenStack). Link-local and refused as such
    /// anyway; named so that the log says what was really asked for.
    static let linkLocalMetadata: [IPPrefix] = [
        v4(169, 254, 169, 254), v4(169, 254, 170, 2), v4(169, 254, 170, 23), v4(169, 254, 0, 23), v4(169, 254, 42, 42),
        v6(0xFE80_0000_0000_0000, 0xA9FE_A9FE),
    ]

    /// What is special about `address`, looked at as it stands; `nil` for an ordinary one.
    static func refusal(of address: IPAddress) -> UpstreamPolicy.Refusal? {
        for prefix in metadata where prefix.contains(address) { return .metadata }
        for prefix in linkLocalMetadata where prefix.contains(address) { return .metadata }
        if let value = address.v4 {
            if value >> 24 == 0 { return .unspecified }  // "this network", RFC 791 §3.2; Linux dials itself at 0.0.0.0
            if value >> 16 == 0xA9FE { return .linkLocal }  // 169.254.0.0/16, RFC 3927 §2.1
            if value >> 28 == 0xE { return .multicast }  // 224.0.0.0/4, RFC 1112 §4
            if value == .max { return .broadcast }  // RFC 919 §7
            return nil
        }
        if address.isUnspecified { return .unspecified }  // RFC 4291 §2.5.2
        if address.high >> 54 == 0xFE80 >> 6 { return .linkLocal }  // fe80::/10, RFC 4291 §2.5.6
        if address.high >> 56 == 0xFF { return .multicast }  // ff00::/8, RFC 4291 §2.7
        return nil
    }

    /// What is allowed when nothing is configured: the private blocks of RFC 1918 §3.
    static let privateIPv4: [IPPrefix] = [
        v4(10, 0, 0, 0, length: 8), v4(172, 16, 0, 0, length: 12), v4(192, 168, 0, 0, length: 16),
    ]

    private static func v4(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, length: Int = 32) -> IPPrefix {
        IPPrefix(masking: IPAddress(v4Bytes: a, b, c, d), length: length)
    }

    private static func v6(_ high: UInt64, _ low: UInt64, length: Int = 128) -> IPPrefix {
        IPPrefix(masking: IPAddress(v6High: high, low: low), length: length)
    }
}
