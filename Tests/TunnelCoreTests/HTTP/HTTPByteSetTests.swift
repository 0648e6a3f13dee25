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

    @Test func digits() {
        for byte in UInt8.min...UInt8.max {
            let character = Character(Unicode.Scalar(byte))
            #expect(HTTPByte.decimal(byte) == (byte < 0x80 ? character.wholeNumberValue.map { UInt8($0) } : nil))
            #expect(HTTPByte.hexadecimal(byte) == (byte < 0x80 ? character.hexDigitValue.map { UInt8($0) } : nil))
        }
    }
}
