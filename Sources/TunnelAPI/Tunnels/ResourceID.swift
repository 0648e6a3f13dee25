/// The ids that the API gives to its objects, such as `tnl_01Hx9Kp2RtQvMn3sWbYdLcF8`. They stand in paths, so one that
/// comes from outside is looked at first.
enum ResourceID {
    static let maxBytes = 128

    /// Whether it consists of 1 to 128 letters, digits, `_` and `-`.
    static func isValid(_ text: String) -> Bool {
        (1...maxBytes).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}
