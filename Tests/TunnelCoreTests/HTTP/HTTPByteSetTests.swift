import Testing

@testable import TunnelCore

/// The sets are given as numbers; here they are held against their definitions.
@Suite struct HTTPByteSetTests {
    static let alphanumeric = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".utf8)

    @Test func tokenIsTchar() {
        let tchar = Self.alphanumeric.union("!#$%&'*+-.^_`|~".utf8)
        for byte in UInt8.min...UInt8.max { #expect(HTTPByteSet.token.contains(byte) == tchar.contains(byte)) }
    }

    @Test func targetIsVisibleASCIIWithoutHash() {
        for byte in UInt8.min...UInt8.max {
            #expect(HTTPByteSet.target.contains(byte) == (0x21...0x7E ~= byte && byte != 0x23))
        }
    }

    @Test func hostNameIsUnreserved() {
        let unreserved = Self.alphanumeric.union("-._~".utf8)
        for byte in UInt8.min...UInt8.max { #expect(HTTPByteSet.hostName.contains(byte) == unreserved.contains(byte)) }
    }

    /// One character of each kind, and all of them.
    @Test func texts() {
        for byte in UInt8.min...0x7F {
            let text = String(Unicode.Scalar(byte))
            #expect(HTTPToken.isToken(text) == HTTPByteSet.token.contains(byte))
            #expect(HTTPToken.isToken(byte) == HTTPByteSet.token.contains(byte))
            #expect(HTTPToken.isTarget(text) == HTTPByteSet.target.contains(byte))
            #expect(HTTPToken.isFieldValue(text) == (0x20...0x7E ~= byte || byte == 0x09))
        }
        #expect(!HTTPToken.isToken("") && !HTTPToken.isTarget("") && HTTPToken.isFieldValue(""))
        #expect(!HTTPToken.isToken("ü") && !HTTPToken.isTarget("/ü") && HTTPToken.isFieldValue("ü"))
        #expect(HTTPToken.isToken("x-A1") && HTTPToken.isTarget("/a?b=%20") && HTTPToken.isFieldValue(" a\tb "))
        #expect(!HTTPToken.isToken("a b") && !HTTPToken.isTarget("/a b") && !HTTPToken.isFieldValue("a\r\nb"))
    }

    @Test func digits() {
        for byte in UInt8.min...UInt8.max {
            let character = Character(Unicode.Scalar(byte))
            #expect(byte.decimalDigit == (byte < 0x80 ? character.wholeNumberValue.map { UInt8($0) } : nil))
            #expect(byte.hexDigit == (byte < 0x80 ? character.hexDigitValue.map { UInt8($0) } : nil))
        }
    }
}
