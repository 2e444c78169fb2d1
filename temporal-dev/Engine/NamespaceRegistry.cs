using System.Collections.Concurrent;
using SnapshotFlow.TemporalDev.Store;
using Temporalio.Api.ErrorDetails.V1;
using Temporalio.Api.Namespace.V1;

namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>The namespaces that exist.</summary>
internal sealed class NamespaceRegistry(CommitQueue commits)
{
    private const string BlobKind = "namespace";

    private readonly ConcurrentDictionary<string, DescribeNamespaceResponse> byName = new(StringComparer.Ordinal);

    public IEnumerable<DescribeNamespaceResponse> All => byName.Values.OrderBy(n => n.NamespaceInfo.Name, StringComparer.Ordinal);

    public static bool Owns(BlobChange blob) => blob.Kind == BlobKind;

    public void Load(BlobChange blob) => byName[blob.Key] = DescribeNamespaceResponse.Parser.ParseFrom(blob.Value);

    public bool Contains(string name) => byName.ContainsKey(name);

    public string IdOf(string name) => byName.TryGetValue(name, out var found) ? found.NamespaceInfo.Id : "";

    public DescribeNamespaceResponse Require(string name)
    {
        if (name.Length == 0)
        {
            throw Fault.Invalid("Namespace not set on request.");
        }

        return byName.TryGetValue(name, out var found) ? found : throw Fault.NamespaceNotFound(name);
    }

    public DescribeNamespaceResponse RequireById(string id) =>
        byName.Values.FirstOrDefault(n => n.NamespaceInfo.Id == id) ?? throw Fault.NamespaceNotFound(id);

    public async Task RegisterAsync(DescribeNamespaceResponse added)
    {
        if (!byName.TryAdd(added.NamespaceInfo.Name, added))
        {
            throw new Fault(StatusCode.AlreadyExists, "Namespace already exists.", new NamespaceAlreadyExistsFailure());
        }

        await SaveAsync(added.NamespaceInfo.Name, added);
    }

    public async Task ReplaceAsync(DescribeNamespaceResponse changed)
    {
        byName[changed.NamespaceInfo.Name] = changed;
        await SaveAsync(changed.NamespaceInfo.Name, changed);
    }

    public async Task RemoveAsync(string name)
    {
        if (byName.TryRemove(name, out _))
        {
            await SaveAsync(name, null);
        }
    }

    private async Task SaveAsync(string name, DescribeNamespaceResponse? value)
    {
        if (commits.IsDurable)
        {
            await commits.Enqueue(Transition.OfBlob(new BlobChange(BlobKind, name, value?.ToByteArray())));
        }
    }

    public static DescribeNamespaceResponse Create(string name, TimeSpan retention, string description = "", string owner = "", string? id = null) => new()
    {
        NamespaceInfo = new NamespaceInfo
        {
            Name = name,
            Id = id ?? Guid.NewGuid().ToString(),
            State = NamespaceState.Registered,
            Description = description,
            OwnerEmail = owner,
            SupportsSchedules = true,
        },
        Config = new NamespaceConfig
        {
            WorkflowExecutionRetentionTtl = Time.ProtoTime.Length(retention),
            HistoryArchivalState = ArchivalState.Disabled,
            VisibilityArchivalState = ArchivalState.Disabled,
        },
    };
}
