using System.Diagnostics.CodeAnalysis;

namespace SnapshotFlow.Drivers.Libvirt;

/// <summary>A domain of a libvirt daemon.</summary>
/// <param name="Uri">Which daemon, such as <c>qemu:///system</c>.</param>
/// <param name="Name">Name or UUID of the domain.</param>
internal sealed record LibvirtDomain(string Uri, string Name)
{
    /// <summary>Reads <c>URI#DOMAIN</c>.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out LibvirtDomain? domain)
    {
        var at = text.LastIndexOf('#');
        domain = at > 0 && at < text.Length - 1 && text.IndexOf("://", StringComparison.Ordinal) is > 0 and var scheme && scheme < at ? new(text[..at], text[(at + 1)..]) : null;
        return domain is not null;
    }
}
