using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using SnapshotFlow.Api.Policy;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Servers;

/// <summary>A server in the list. Source: Nova API, <c>GET /servers</c>.</summary>
internal sealed record ServerSummary(string Id, string Name, IReadOnlyList<Link> Links);

/// <summary>
/// A server with what there is to say about it. Flavors, networks and keys are no concern of this product: their members are there and empty, because clients
/// read them. Source: Nova API, <c>GET /servers/{id}</c>.
/// </summary>
internal sealed record ServerView(
    string Id, string Name, string Status, string TenantId, string UserId, string Created, string Updated, IReadOnlyList<Link> Links)
{
    private static readonly Microversion FlavorInside = new(2, 47);

    [JsonPropertyName("hostId")]
    public required string HostId { get; init; }

    /// <summary>Empty for a server that was made from a volume, which is the usual kind here; else the image's id.</summary>
    public required object Image { get; init; }

    public required int Progress { get; init; }

    public IReadOnlyDictionary<string, string> Metadata { get; } = new Dictionary<string, string>();

    /// <summary>Not known of registered servers: below 2.47 an id that leads nowhere, from there on the numbers themselves, which clients read.</summary>
    public required object Flavor { get; init; }

    public IReadOnlyDictionary<string, string> Addresses { get; } = new Dictionary<string, string>();

    [JsonPropertyName("OS-EXT-STS:vm_state")]
    public required string VmState { get; init; }

    [JsonPropertyName("OS-EXT-STS:task_state")]
    public required string? TaskState { get; init; }

    [JsonPropertyName("OS-EXT-STS:power_state")]
    public required int PowerState { get; init; }

    [JsonPropertyName("OS-SRV-USG:launched_at")]
    public required string? LaunchedAt { get; init; }

    [JsonPropertyName("OS-SRV-USG:terminated_at")]
    public string? TerminatedAt { get; }

    [JsonPropertyName("os-extended-volumes:volumes_attached")]
    public required IReadOnlyList<AttachedVolumeView> VolumesAttached { get; init; }

    /// <summary>The hypervisor; administrators only.</summary>
    [JsonPropertyName("OS-EXT-SRV-ATTR:host")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Host { get; init; }

    /// <summary>The server group's name, for whoever sees the hypervisor. Nova has ids of its own kind of groups, as <c>server_groups</c>, from 2.71.</summary>
    [JsonPropertyName("snapshotflow:server_group")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ServerGroup { get; init; }

    /// <summary>From microversion 2.9.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Locked { get; init; }

    public static ServerSummary Summary(Server server, HttpContext context) => new(server.Id.ToString(), server.Name, LinksOf(server, context));

    public static ServerView Of(Server server, IEnumerable<AttachedVolume> volumes, HttpContext context)
    {
        var version = context.Microversion();
        var inside = context.May(Policies.ServerHost, PolicyTarget.Of(server.ProjectId, server.UserId));
        return new(
            server.Id.ToString(), server.Name, ServerStates.Status(server.VmState), server.ProjectId, server.UserId,
            server.CreatedAt.Seconds(), (server.UpdatedAt ?? server.CreatedAt).Seconds(), LinksOf(server, context))
        {
            HostId = server.Host is { } host ? HostIdOf(server.ProjectId, host) : "",
            Image = server.ImageRef is { Length: > 0 } image ? new { id = image, links = new[] { new Link("bookmark", context.Url($"/image/v2/images/{image}")) } } : "",
            Flavor = version < FlavorInside
                ? new { id = "unknown", links = Array.Empty<Link>() }
                : new { original_name = "unknown", vcpus = 0, ram = 0, disk = 0, ephemeral = 0, swap = 0, extra_specs = new Dictionary<string, string>() },
            Progress = server.VmState is Model.VmState.Active ? 100 : 0,
            VmState = server.VmState.ToText(),
            TaskState = server.TaskState,
            PowerState = ServerStates.PowerState(server.VmState),
            LaunchedAt = server.LaunchedAt?.Microseconds(),
            VolumesAttached = volumes
                .Select(v => new AttachedVolumeView(v.VolumeId, version >= new Microversion(2, 3) ? v.DeleteOnTermination : null)).ToList(),
            Host = inside ? server.Host : null,
            ServerGroup = inside ? server.ServerGroup : null,
            Locked = version >= new Microversion(2, 9) ? server.Locked : null,
        };
    }

    private static List<Link> LinksOf(Server server, HttpContext context) =>
        [Link.Self(context.Url($"/compute/v2.1/servers/{server.Id}")), new("bookmark", context.Url($"/compute/servers/{server.Id}"))];

    /// <summary>Tells a project whether two of its servers share a hypervisor, and nothing else. Nova's is 56 hexadecimal digits too.</summary>
    private static string HostIdOf(string projectId, string host) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(projectId + host)))[..56];
}

/// <summary>A volume of a server; <c>delete_on_termination</c> from microversion 2.3.</summary>
internal sealed record AttachedVolumeView(
    VolumeId Id, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] bool? DeleteOnTermination);
