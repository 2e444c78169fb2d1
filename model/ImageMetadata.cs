using System.Collections.Frozen;
using System.Globalization;

namespace SnapshotFlow.Model;

/// <summary>What an image says beside its block devices, worked out from the server it is of and from the request.</summary>
/// <param name="OwnerProjectId">The caller's project.</param>
/// <param name="Visibility"><c>private</c>, or <c>shared</c> when the server is another project's.</param>
/// <param name="MemberProjectId">The server's project when the image is <c>shared</c>; null otherwise.</param>
/// <param name="MinDisk">GiB; 0 when the server does not say.</param>
/// <param name="MinRam">MiB; 0 when the server does not say.</param>
/// <param name="Properties">Custom properties, without the generated ones.</param>
public sealed record ImageMetadata(
    string OwnerProjectId, string Visibility, string? MemberProjectId, int MinDisk, int MinRam, IReadOnlyDictionary<string, string> Properties)
{
    private const string ImagePrefix = "image_";

    // Nova turns every key of the system metadata into a property, and so publishes run-time notes such as network_allocated or the guest's
    // encrypted password (password_0 …). Here only what came from an image goes back into one, and the three that say who booted the server,
    // which the image service's property protections are commonly written for.
    private static readonly FrozenSet<string> CarriedWithoutPrefix = FrozenSet.Create(StringComparer.Ordinal, "owner_user_name", "owner_project_name", "boot_roles");

    // What an image must not pass on. Source: Nova's default of non_inheritable_image_properties, and the keys that it never inherits. The encryption and
    // signature keys among those are reserved anyway, see ImageMetadataRules.
    private static readonly FrozenSet<string> NotInherited = FrozenSet.Create(
        StringComparer.Ordinal,
        "cache_in_nova", "bittorrent", "mappings", "img_mappings", "img_block_device_mapping", "min_ram", "min_disk", "disk_format", "container_format");

    /// <summary>Works it out. Deviations from Nova: an allow-list of what is inherited, and reserved keys are never inherited.</summary>
    /// <param name="server">The server.</param>
    /// <param name="callerProjectId">The caller's project.</param>
    /// <param name="metadata">The caller's metadata, which wins over what is inherited. The generated properties cannot be set and are dropped, as Nova does.</param>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/>: the server's system metadata is no use.</exception>
    public static ImageMetadata Build(Server server, string callerProjectId, IReadOnlyDictionary<string, string> metadata)
    {
        var properties = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in server.SystemMetadata)
        {
            if (value is not null && InheritedName(key) is { } name)
            {
                properties[name] = value;
            }
        }

        foreach (var (key, value) in metadata)
        {
            properties[key] = value;
        }

        foreach (var key in properties.Keys.Where(k => ImageMetadataRules.Generated.Contains(k) || IsNoImage(k, properties[k])).ToList())
        {
            properties.Remove(key);
        }

        var own = callerProjectId == server.ProjectId;
        return new ImageMetadata(
            callerProjectId, own ? "private" : "shared", own ? null : server.ProjectId, Minimum(server, "min_disk"), Minimum(server, "min_ram"), properties);
    }

    private static string? InheritedName(string key)
    {
        var name = key.StartsWith(ImagePrefix, StringComparison.Ordinal) ? key[ImagePrefix.Length..] : CarriedWithoutPrefix.Contains(key) ? key : null;
        return name is null or "" || NotInherited.Contains(name) || ImageMetadataRules.IsReserved(name) ? null : name;
    }

    // "No kernel" and "no ramdisk" are said by leaving the property out. Source: Nova's image client.
    private static bool IsNoImage(string key, string value) =>
        key is "kernel_id" or "ramdisk_id" && (value.Length == 0 || value.Equals("none", StringComparison.OrdinalIgnoreCase));

    private static int Minimum(Server server, string name) => server.SystemMetadata.GetValueOrDefault(ImagePrefix + name) switch
    {
        null or "" => 0,
        var text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => number,
        var text => throw new SnapshotFlowException(
            ErrorKind.InvalidRequest, $"Instance {server.Id} has {ImagePrefix}{name} '{text}' in its system metadata, which is no whole number: correct its record."),
    };
}
