using System.Text;
using SnapshotFlow.Api.Faults;

namespace SnapshotFlow.Api.Requests;

/// <summary>
/// A map of texts in a query, as OpenStack clients write it: the way Python shows a dictionary, <c>{'key': 'value'}</c>, or JSON. Source: Cinder, which reads it
/// with <c>ast.literal_eval</c>.
/// </summary>
internal static class DictionaryLiteral
{
    /// <summary>Reads it; 400 when it is nothing of the kind.</summary>
    /// <param name="text">The value of the parameter.</param>
    /// <param name="name">The parameter.</param>
    public static IReadOnlyDictionary<string, string> Parse(string text, string name = "metadata")
    {
        var reader = new Reader(text, name);
        var result = new Dictionary<string, string>();
        reader.Expect('{');
        while (!reader.Accept('}'))
        {
            var key = reader.Text();
            reader.Expect(':');
            result[key] = reader.Text();
            if (!reader.Accept(','))
            {
                reader.Expect('}');
                break;
            }
        }

        reader.End();
        return result;
    }

    private sealed class Reader(string text, string name)
    {
        private int at;

        public bool Accept(char wanted)
        {
            Skip();
            if (at < text.Length && text[at] == wanted)
            {
                at++;
                return true;
            }

            return false;
        }

        public void Expect(char wanted)
        {
            if (!Accept(wanted))
            {
                throw Wrong();
            }
        }

        public void End()
        {
            Skip();
            if (at < text.Length)
            {
                throw Wrong();
            }
        }

        /// <summary>A text in single or double quotes; Python 2 clients write a u before it.</summary>
        public string Text()
        {
            Skip();
            if (at + 1 < text.Length && text[at] is 'u' && text[at + 1] is '\'' or '"')
            {
                at++;
            }

            var quote = at < text.Length && text[at] is '\'' or '"' ? text[at++] : throw Wrong();
            var result = new StringBuilder();
            for (; at < text.Length && text[at] != quote; at++)
            {
                if (text[at] is '\\' && ++at == text.Length)
                {
                    throw Wrong();
                }

                result.Append(text[at]);
            }

            return at++ < text.Length ? result.ToString() : throw Wrong();
        }

        private void Skip()
        {
            while (at < text.Length && text[at] is ' ')
            {
                at++;
            }
        }

        private Fault Wrong() => ListQuery.Invalid(name, text, "It must be a map of texts, for example {'key': 'value'}");
    }
}
