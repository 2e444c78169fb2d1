using Google.Protobuf.WellKnownTypes;
using SnapshotFlow.Workflows;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.OperatorService.V1;
using Temporalio.Api.WorkflowService.V1;
using Temporalio.Client;
using Temporalio.Common.EnvConfig;
using Temporalio.Exceptions;

namespace SnapshotFlow.Workers;

/// <summary>
/// <c>snapshotflow-workers setup</c>: registers the search attributes on the Temporal that the environment names, and with <c>--create-namespace</c> the
/// namespace too. What is there already stays; saying it twice does no harm.
/// </summary>
internal static class Setup
{
    private const string CreateNamespace = "--create-namespace";

    /// <summary>How long Temporal keeps the history of an ended run in a namespace made here. The records in PostgreSQL stay.</summary>
    private static readonly TimeSpan Retention = TimeSpan.FromDays(30);

    // A namespace and an attribute take a moment to reach every part of a cluster.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <summary>Prepares the namespace and says what was done.</summary>
    /// <exception cref="InvalidConfigurationException">It cannot be done; the message says what to do.</exception>
    public static async Task<int> RunAsync(IReadOnlyList<string> args)
    {
        if (args.FirstOrDefault(a => a != CreateNamespace) is { } unknown)
        {
            throw new InvalidConfigurationException([$"setup does not know '{unknown}'; it takes {CreateNamespace} and nothing else, and TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE from the environment"]);
        }

        var client = await ConnectAsync();
        using var limit = new CancellationTokenSource(Patience);
        var rpc = new RpcOptions { CancellationToken = limit.Token };
        try
        {
            await RequireNamespaceAsync(client, args.Contains(CreateNamespace), rpc);
            var added = await AddSearchAttributesAsync(client, rpc);
            Console.WriteLine(added.Count == 0 ? "every search attribute is there" : $"added {string.Join(", ", added)}");
            return 0;
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.PermissionDenied or RpcException.StatusCode.Unimplemented or RpcException.StatusCode.Unauthenticated)
        {
            throw new InvalidConfigurationException([$"Temporal does not let us register search attributes ({e.Message}); have its operator add these to {client.Options.Namespace}: {string.Join(", ", SearchAttributes.All.Select(a => $"{a.Name}=Keyword"))}"]);
        }
    }

    private static async Task<ITemporalClient> ConnectAsync()
    {
        var options = ClientEnvConfig.LoadClientConnectOptions(new ClientEnvConfig.ProfileLoadOptions());
        if (string.IsNullOrEmpty(options.TargetHost))
        {
            throw new InvalidConfigurationException(["TEMPORAL_ADDRESS is missing: host:port of the Temporal frontend"]);
        }

        try
        {
            return await TemporalClient.ConnectAsync(options);
        }
        catch (Exception e) when (e is InvalidOperationException or RpcException)
        {
            throw new InvalidConfigurationException([$"TEMPORAL_ADDRESS={options.TargetHost}: {e.Message}"]);
        }
    }

    private static async Task RequireNamespaceAsync(ITemporalClient client, bool mayCreate, RpcOptions rpc)
    {
        var name = client.Options.Namespace;
        try
        {
            await client.Connection.WorkflowService.DescribeNamespaceAsync(new DescribeNamespaceRequest { Namespace = name }, rpc);
            return;
        }
        catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound)
        {
            if (!mayCreate)
            {
                throw new InvalidConfigurationException([$"TEMPORAL_NAMESPACE={name} is not there; name another, have its operator create it, or say: snapshotflow-workers setup {CreateNamespace}"]);
            }
        }

        await client.Connection.WorkflowService.RegisterNamespaceAsync(
            new RegisterNamespaceRequest { Namespace = name, WorkflowExecutionRetentionPeriod = Duration.FromTimeSpan(Retention) }, rpc);
        Console.WriteLine($"created namespace {name}, which keeps ended runs for {Retention.TotalDays:0} days");
    }

    private static async Task<IReadOnlyList<string>> AddSearchAttributesAsync(ITemporalClient client, RpcOptions rpc)
    {
        var list = new ListSearchAttributesRequest { Namespace = client.Options.Namespace };
        var added = new SortedSet<string>(StringComparer.Ordinal);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        while (true)
        {
            try
            {
                var known = (await client.Connection.OperatorService.ListSearchAttributesAsync(list, rpc)).CustomAttributes;
                if (SearchAttributes.All.FirstOrDefault(a => known.TryGetValue(a.Name, out var type) && type is not IndexedValueType.Keyword) is { } other)
                {
                    throw new InvalidConfigurationException([$"the search attribute {other.Name} is there as {known[other.Name]} and has to be Keyword; use a namespace of our own"]);
                }

                var missing = SearchAttributes.All.Where(a => !known.ContainsKey(a.Name)).Select(a => a.Name).ToList();
                if (missing.Count == 0)
                {
                    return [.. added];
                }

                var add = new AddSearchAttributesRequest { Namespace = client.Options.Namespace };
                missing.ForEach(name => add.SearchAttributes.Add(name, IndexedValueType.Keyword));
                await client.Connection.OperatorService.AddSearchAttributesAsync(add, rpc);
                added.UnionWith(missing);
            }
            catch (RpcException e) when (e.Code is RpcException.StatusCode.NotFound or RpcException.StatusCode.AlreadyExists or RpcException.StatusCode.Unavailable)
            {
                // Not everywhere yet.
            }

            await timer.WaitForNextTickAsync(rpc.CancellationToken!.Value);
        }
    }
}
