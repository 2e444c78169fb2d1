namespace SnapshotFlow.Api.Requests;

/// <summary>A link as OpenStack writes them.</summary>
internal sealed record Link(string Rel, string Href)
{
    public static Link Self(string href) => new("self", href);

    /// <summary>Leads to the next page.</summary>
    public static Link Next(string href) => new("next", href);
}
