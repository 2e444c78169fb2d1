using System.Text;
using System.Text.Json;

namespace SnapshotFlow.Workflows;

/// <summary>
/// Summaries as a server takes them. It refuses one of more than 400 bytes, and with it the whole task of the workflow, again and again: the names in it are
/// somebody else's, so each is cut to what fits. Source: Temporal server, limit.userMetadataSummarySize, of the payload as protobuf.
/// </summary>
public static class Summaries
{
    private const string Cut = "…";

    // Of the 400 bytes, the payload's encoding, its own lengths and the quotes of the JSON take some 30; the rest is left for other encodings' names.
    private const int MostBytes = 350;

    private static readonly int CutBytes = Bytes(Cut);

    /// <summary>The same text, or as many of its characters as fit and "…".</summary>
    public static string Fit(string text)
    {
        int bytes = 0, kept = 0, length = 0;
        foreach (var character in text.EnumerateRunes())
        {
            bytes += Bytes(character.ToString());
            length += character.Utf16SequenceLength;
            if (bytes > MostBytes)
            {
                return string.Concat(text.AsSpan(0, kept), Cut);
            }

            kept = bytes + CutBytes <= MostBytes ? length : kept;
        }

        return text;
    }

    /// <summary>The SDK writes summaries as JSON, which takes up to six bytes for a character beyond ASCII and twice that beyond the first plane.</summary>
    private static int Bytes(string text) => JsonEncodedText.Encode(text).EncodedUtf8Bytes.Length;
}
