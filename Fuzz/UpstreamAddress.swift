internal import Glibc
import TunnelCore

/// Reads the input as the target of a route.
///
/// What is taken is written and read again the same, and its host means one thing: what the C library would dial as an
/// IPv4 address in an odd spelling (`127.1`, `0x7f.1`, `017700000001`, `2130706433`) is no host name. What is refused is
/// refused in words that hold nothing of it.
func checkUpstreamAddress(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    let address: UpstreamAddress
    do throws(UpstreamAddressError) { address = try UpstreamAddress(text) } catch {
        let words = "\(error) \(error.reason)"
        precondition(words.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "a control character in an error")
        for spoilt in ["http://user:hush-0123@\(text)", "\(text)/hush-0123"] {
            do throws(UpstreamAddressError) { _ = try UpstreamAddress(spoilt) } catch {
                precondition(!"\(error) \(error.reason)".contains("hush"), "the text in an error")
            }
        }
        return
    }
    precondition((try? UpstreamAddress("\(address)")) == address, "an address that changes when it is written")
    if let path = address.socketPath {
        precondition(path.hasPrefix("/") && path.utf8.count <= 107, "a path that no socket has")
        precondition(path.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "a byte that breaks a line of the log")
        precondition(address.host.isEmpty && address.port == 0, "a socket with a host")
        return
    }
    precondition(address.port > 0 && !address.host.isEmpty && address.host.utf8.count <= 254, "no host or port")
    precondition(
        address.host.utf8.allSatisfy { byte in
            (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || [0x2D, 0x2E, 0x3A, 0x5F].contains(byte)
        }, "a byte that no host has")
    let literal = IPAddress(address.host)
    var value = in_addr()
    if inet_aton(address.host, &value) != 0 {
        precondition(literal?.isIPv4 == true, "a name that the C library reads as an address")
        precondition(literal?.v4 == UInt32(bigEndian: value.s_addr), "another address than the C library's")
    }
    precondition(literal != nil || !address.host.contains(":"), "a name with a colon")
    // The same target in capitals is the same target.
    precondition((try? UpstreamAddress(text.uppercased())) ?? address == address, "case matters")
}
