using System.Globalization;

namespace SnapshotFlow.Api.Policy;

/// <summary>Who asks, as policy sees it: attributes such as <c>user_id</c>, with one value or several (<c>roles</c>). What is not known is not there.</summary>
internal interface ICredentials
{
    /// <summary>The values of an attribute; empty when it is not known.</summary>
    IReadOnlyList<string> Values(string attribute);
}

/// <summary>What is asked for, as policy sees it: <c>project_id</c>, <c>user_id</c>, … of the thing.</summary>
internal sealed record PolicyTarget(IReadOnlyDictionary<string, string?> Attributes)
{
    /// <summary>A thing that belongs to a project and was made by a user.</summary>
    public static PolicyTarget Of(string projectId, string? userId = null) => new(new Dictionary<string, string?> { ["project_id"] = projectId, ["user_id"] = userId });

    /// <summary>The same with one more attribute.</summary>
    public PolicyTarget With(string attribute, string? value) => new(new Dictionary<string, string?>(Attributes) { [attribute] = value });
}

/// <summary>
/// A check of oslo.policy's language: <c>role:admin</c>, <c>rule:owner</c>, <c>project_id:%(project_id)s</c>, <c>@</c>, <c>!</c>, and what <c>and</c>,
/// <c>or</c>, <c>not</c> make of them. <see cref="object.ToString"/> writes it so that it reads back as the same check.
/// </summary>
internal abstract record PolicyCheck
{
    /// <param name="rule">Whether a rule of this name lets the same caller do the same.</param>
    /// <param name="credentials">Who asks.</param>
    /// <param name="target">What for.</param>
    public abstract bool Allows(Func<string, bool> rule, ICredentials credentials, PolicyTarget target);

    /// <summary>The names of the rules that this check asks.</summary>
    public virtual IEnumerable<string> Rules => [];

    /// <summary><c>@</c>, and the empty text.</summary>
    internal sealed record Always : PolicyCheck
    {
        public override bool Allows(Func<string, bool> rule, ICredentials credentials, PolicyTarget target) => true;

        public override string ToString() => "@";
    }

    /// <summary><c>!</c>.</summary>
    internal sealed record Never : PolicyCheck
    {
        public override bool Allows(Func<string, bool> rule, ICredentials credentials, PolicyTarget target) => false;

        public override string ToString() => "!";
    }

    /// <summary><c>not a</c>.</summary>
    internal sealed record Not(PolicyCheck Check) : PolicyCheck
    {
        public override bool Allows(Func<string, bool> rule, ICredentials credentials, PolicyTarget target) => !Check.Allows(rule, credentials, target);

        public override IEnumerable<string> Rules => Check.Rules;

        public override string ToString() => Check is And or Or ? $"not ({Check})" : $"not {Check}";
    }

    /// <summary><c>a and b</c>.</summary>
    internal sealed record And(PolicyCheck Left, PolicyCheck Right) : PolicyCheck
    {
        public override bool Allows(Func<string, bool> rule, ICredentials credentials, PolicyTarget target) =>
            Left.Allows(rule, credentials, target) && Right.Allows(rule, credentials, target);

        public override IEnumerable<string> Rules => Left.Rules.Concat(Right.Rules);

        public override string ToString() => $"{(Left is Or ? $"({Left})" : Left)} and {(Right is Or or And ? $"({Right})" : Right)}";
    }

    /// <summary><c>a or b</c>.</summary>
    internal sealed record Or(PolicyCheck Left, PolicyCheck Right) : PolicyCheck
    {
        public override bool Allows(Func<string, bool> rule, ICredentials credentials, PolicyTarget target) =>
            Left.Allows(rule, credentials, target) || Right.Allows(rule, credentials, target);

        public override IEnumerable<string> Rules => Left.Rules.Concat(Right.Rules);

        public override string ToString() => $"{Left} or {(Right is Or ? $"({Right})" : Right)}";
    }

    /// <summary><c>rule:name</c>.</summary>
    internal sealed record Rule(string Name) : PolicyCheck
    {
        public override bool Allows(Func<string, bool> rule, ICredentials credentials, PolicyTarget target) => rule(Name);

        public override IEnumerable<string> Rules => [Name];

        public override string ToString() => $"rule:{Name}";
    }

    /// <summary><c>role:name</c>: the caller has the role, in whatever case.</summary>
    internal sealed record Role(string Name) : PolicyCheck
    {
        public override bool Allows(Func<string, bool> rule, ICredentials credentials, PolicyTarget target) =>
            Substitute(Name, target) is { } name && credentials.Values("roles").Contains(name, StringComparer.OrdinalIgnoreCase);

        public override string ToString() => $"role:{Name}";
    }

    /// <summary><c>attribute:text</c>: the caller's attribute is the text.</summary>
    internal sealed record Attribute(string Name, string Text) : PolicyCheck
    {
        public override bool Allows(Func<string, bool> rule, ICredentials credentials, PolicyTarget target) =>
            Substitute(Text, target) is { } text && credentials.Values(Name).Contains(text, StringComparer.Ordinal);

        public override string ToString() => $"{Name}:{Text}";
    }

    /// <summary><c>'literal':text</c>, or a number, <c>True</c>, <c>False</c>, <c>None</c> in place of the literal: the thing's attribute is the literal.</summary>
    internal sealed record Literal(string Written, string Value, string Text) : PolicyCheck
    {
        public override bool Allows(Func<string, bool> rule, ICredentials credentials, PolicyTarget target) => Substitute(Text, target) == Value;

        public override string ToString() => $"{Written}:{Text}";
    }

    /// <summary>Puts the thing's attributes in the place of <c>%(name)s</c>; null when the thing has no such attribute, so that nothing is equal to it.</summary>
    private static string? Substitute(string text, PolicyTarget target)
    {
        var result = "";
        for (var rest = text; ;)
        {
            var start = rest.IndexOf("%(", StringComparison.Ordinal);
            var end = start < 0 ? -1 : rest.IndexOf(")s", start, StringComparison.Ordinal);
            if (end < 0)
            {
                return result + rest;
            }

            if (!target.Attributes.TryGetValue(rest[(start + 2)..end], out var value))
            {
                return null;
            }

            result += string.Create(CultureInfo.InvariantCulture, $"{rest[..start]}{value ?? "None"}");
            rest = rest[(end + 2)..];
        }
    }
}
