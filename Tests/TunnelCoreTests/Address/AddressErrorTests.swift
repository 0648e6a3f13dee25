import Testing
import TunnelCore

@Suite struct AddressErrorTests {
    @Test func readsAsReasonAndRemedy() throws {
        let error = try #require(throws: AddressError.self) { try IPPrefix("10.0.0.1/8") }
        #expect(
            error.description
                == "10.0.0.1/8 has bits set behind the prefix; did you mean 10.0.0.0/8 (the network) or 10.0.0.1 (the address alone)?"
        )
    }

    @Test func showsTheRangeAsItWasWritten() throws {
        let error = try #require(throws: AddressError.self) { try IPPrefix("FD00:0:0::1/8") }
        #expect(error.description.hasPrefix("FD00:0:0::1/8 has bits set behind the prefix; did you mean fd00::/8"))
    }

    @Test func comparesByCode() {
        #expect(failure("10.0.0.1/8") != nil && failure("10.0.0.1/8") == failure("10.0.0.2/9"))
        #expect(failure("10.0.0.1/8") != failure("10.0.0.1/99"))
    }

    private func failure(_ text: String) -> AddressError? {
        do throws(AddressError) {
            _ = try IPPrefix(text)
            return nil
        } catch { return error }
    }
}
