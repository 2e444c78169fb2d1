using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Time;
using Temporalio.Api.Namespace.V1;

namespace SnapshotFlow.TemporalDev.Rpc;

internal sealed partial class WorkflowService
{
    private const int DefaultNamespacePage = 100;

    public Task<DescribeNamespaceResponse> DescribeNamespace(DescribeNamespaceRequest request, ServerCallContext context) =>
        Task.FromResult(Present(request.Id.Length > 0 ? engine.Namespaces.RequireById(request.Id) : engine.Namespaces.Require(request.Namespace)));

    public Task<ListNamespacesResponse> ListNamespaces(ListNamespacesRequest request, ServerCallContext context)
    {
        // The token is the last name that was given out: names are in order.
        var after = request.NextPageToken.ToStringUtf8();
        var rest = engine.Namespaces.All.Where(n => string.CompareOrdinal(n.NamespaceInfo.Name, after) > 0).ToList();
        var size = request.PageSize > 0 ? request.PageSize : DefaultNamespacePage;
        var response = new ListNamespacesResponse();
        response.Namespaces.Add(rest.Take(size).Select(Present));
        response.NextPageToken = rest.Count > size ? ByteString.CopyFromUtf8(response.Namespaces[^1].NamespaceInfo.Name) : ByteString.Empty;
        return Task.FromResult(response);
    }

    public async Task<RegisterNamespaceResponse> RegisterNamespace(RegisterNamespaceRequest request, ServerCallContext context)
    {
        if (request.Namespace.Length == 0)
        {
            throw Fault.Invalid("Namespace not set on request.");
        }

        var retention = ProtoTime.Span(request.WorkflowExecutionRetentionPeriod);
        if (retention <= TimeSpan.Zero)
        {
            throw Fault.Invalid("A valid retention period is not set on request.");
        }

        var added = NamespaceRegistry.Create(request.Namespace, retention, request.Description, request.OwnerEmail);
        added.NamespaceInfo.Data.Add(request.Data);
        await engine.Namespaces.RegisterAsync(added);
        return new RegisterNamespaceResponse();
    }

    public async Task<UpdateNamespaceResponse> UpdateNamespace(UpdateNamespaceRequest request, ServerCallContext context)
    {
        var changed = engine.Namespaces.Require(request.Namespace).Clone();
        if (request.UpdateInfo is { } info)
        {
            changed.NamespaceInfo.Description = info.Description.Length > 0 ? info.Description : changed.NamespaceInfo.Description;
            changed.NamespaceInfo.OwnerEmail = info.OwnerEmail.Length > 0 ? info.OwnerEmail : changed.NamespaceInfo.OwnerEmail;
            foreach (var (key, value) in info.Data)
            {
                changed.NamespaceInfo.Data[key] = value;
            }
        }

        if (ProtoTime.IsSet(request.Config?.WorkflowExecutionRetentionTtl))
        {
            changed.Config.WorkflowExecutionRetentionTtl = request.Config!.WorkflowExecutionRetentionTtl;
        }

        await engine.Namespaces.ReplaceAsync(changed);
        return new UpdateNamespaceResponse { NamespaceInfo = Present(changed).NamespaceInfo, Config = changed.Config };
    }

    /// <summary>What the server can do now belongs to the answer, not to what is stored.</summary>
    private DescribeNamespaceResponse Present(DescribeNamespaceResponse stored)
    {
        var answer = stored.Clone();
        answer.NamespaceInfo.Capabilities = new NamespaceInfo.Types.Capabilities
        {
            SyncUpdate = true,
            AsyncUpdate = true,
            WorkerHeartbeats = true,
            WorkerPollCompleteOnShutdown = true,
        };
        answer.NamespaceInfo.Limits = new NamespaceInfo.Types.Limits
        {
            BlobSizeLimitError = engine.Options.BlobSizeLimit,
            MemoSizeLimitError = engine.Options.BlobSizeLimit,
        };
        answer.ReplicationConfig = new Temporalio.Api.Replication.V1.NamespaceReplicationConfig { ActiveClusterName = "active" };
        return answer;
    }
}
