namespace SnapshotFlow.Api.Policy;

/// <summary>
/// Reads oslo.policy's language: <c>not</c> binds stronger than <c>and</c>, <c>and</c> stronger than <c>or</c>, words are separated by spaces, and parentheses
/// group. Source: oslo.policy documentation, "Policy rule expressions". Remote checks (<c>http:</c>) are not part of this product.
/// </summary>
internal static class PolicyLanguage
{
    private const int DeepestNesting = 64;

    /// <exception cref="FormatException">It is no check; the message has the column, counted from 1.</exception>
    public static PolicyCheck Parse(string text)
    {
        var words = Words(text);
        if (words.Count == 0)
        {
            return new PolicyCheck.Always();
        }

        var reader = new Reader(words, text.Length);
        var check = reader.Or(0);
        return reader.Next is { } left ? throw Wrong(left.Column, left.Is(")") ? "this parenthesis was never opened" : $"'and' or 'or' is expected before '{left.Text}'") : check;
    }

    private static FormatException Wrong(int column, string why) => new($"column {column}: {why}");

    private static List<Word> Words(string text)
    {
        List<Word> words = [];
        for (var i = 0; i < text.Length;)
        {
            if (char.IsWhiteSpace(text[i]))
            {
                i++;
                continue;
            }

            // A parenthesis stands for itself, except in %(name)s, which is part of its word.
            var start = i;
            if (text[i] is '(' or ')')
            {
                i++;
            }
            else
            {
                i = EndOfWord(text, i);
            }

            words.Add(new(text[start..i], start + 1));
        }

        return words;
    }

    private static int EndOfWord(string text, int start)
    {
        var i = start;
        while (i < text.Length && !char.IsWhiteSpace(text[i]) && text[i] is not ('(' or ')'))
        {
            if (text[i] is '\'' or '"')
            {
                var close = text.IndexOf(text[i], i + 1);
                i = close < 0 ? throw Wrong(i + 1, "this quote is never closed") : close + 1;
            }
            else if (text[i] == '%' && i + 1 < text.Length && text[i + 1] == '(')
            {
                var close = text.IndexOf(")s", i, StringComparison.Ordinal);
                i = close > i + 2 ? close + 2 : throw Wrong(i + 1, "write %(name)s, with a name and the s");
            }
            else
            {
                i++;
            }
        }

        return i;
    }

    private readonly record struct Word(string Text, int Column)
    {
        /// <summary>Operators are words in any case.</summary>
        public bool Is(string word) => Text.Equals(word, StringComparison.OrdinalIgnoreCase);
    }

    private sealed class Reader(List<Word> words, int length)
    {
        private int position;

        public Word? Next => position < words.Count ? words[position] : null;

        public PolicyCheck Or(int depth)
        {
            var check = And(depth);
            while (Take("or"))
            {
                check = new PolicyCheck.Or(check, And(depth));
            }

            return check;
        }

        private PolicyCheck And(int depth)
        {
            var check = Not(depth);
            while (Take("and"))
            {
                check = new PolicyCheck.And(check, Not(depth));
            }

            return check;
        }

        private PolicyCheck Not(int depth)
        {
            if (Next is not { } word)
            {
                throw Wrong(length + 1, "a check such as role:member is expected, and the text ends");
            }

            if (depth > DeepestNesting)
            {
                throw Wrong(word.Column, $"this is nested deeper than {DeepestNesting}");
            }

            position++;
            if (word.Is("not"))
            {
                return new PolicyCheck.Not(Not(depth + 1));
            }

            if (word.Is("("))
            {
                var inner = Or(depth + 1);
                return Take(")") ? inner : throw Wrong(word.Column, "this parenthesis is never closed");
            }

            return word.Is("and") || word.Is("or") || word.Is(")")
                ? throw Wrong(word.Column, $"a check such as role:member is expected, not '{word.Text}'")
                : Check(word);
        }

        private bool Take(string word)
        {
            if (Next is not { } next || !next.Is(word))
            {
                return false;
            }

            position++;
            return true;
        }

        private static PolicyCheck Check(Word word)
        {
            switch (word.Text)
            {
                case "@":
                    return new PolicyCheck.Always();
                case "!":
                    return new PolicyCheck.Never();
            }

            var colon = Colon(word.Text);
            if (colon <= 0 || colon == word.Text.Length - 1)
            {
                throw Wrong(word.Column, $"'{word.Text}' is no check: write kind:value, for example role:member");
            }

            var (kind, value) = (word.Text[..colon], word.Text[(colon + 1)..]);
            return kind switch
            {
                "rule" => new PolicyCheck.Rule(value),
                "role" => new PolicyCheck.Role(value),
                "http" or "https" => throw Wrong(word.Column, "checks that ask another server are not supported"),
                ['\'' or '"', .., '\'' or '"'] when kind.Length >= 2 && kind[0] == kind[^1] => new PolicyCheck.Literal(kind, kind[1..^1], value),
                "True" or "False" or "None" => new PolicyCheck.Literal(kind, kind, value),
                _ when kind.All(char.IsAsciiDigit) => new PolicyCheck.Literal(kind, kind, value),
                _ when kind.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-') => new PolicyCheck.Attribute(kind, value),
                _ => throw Wrong(word.Column, $"'{kind}' is neither rule, role, an attribute of the caller nor a literal"),
            };
        }

        /// <summary>The colon between kind and value: the first that is not inside quotes.</summary>
        private static int Colon(string text) => text[0] is '\'' or '"' ? text.IndexOf(':', text.IndexOf(text[0], 1)) : text.IndexOf(':', StringComparison.Ordinal);
    }
}
