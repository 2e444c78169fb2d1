using Temporalio.Api.Enums.V1;
using Temporalio.Api.ErrorDetails.V1;
using Temporalio.Client;
using Temporalio.Exceptions;
using SnapshotFlow.Tests.TemporalDev.Conformance;

namespace SnapshotFlow.Tests.TemporalDev.Sdk;

/// <summary>What an operator does: namespaces, search attributes, a look at the server.</summary>
[Collection(nameof(DevServer))]
public sealed class OperatorsOfServers(DevServer server)
{
    [Fact]
    public async Task A_namespace_lives_from_its_registration_to_its_deletion()
    {
        var service = server.Client.Connection.WorkflowService;
        var name = $"space-{Guid.NewGuid()}";
        await service.RegisterNamespaceAsync(new()
        {
            Namespace = name,
            Description = "first",
            OwnerEmail = "me@example.com",
            WorkflowExecutionRetentionPeriod = RawWorker.Seconds(86400),
            Data = { ["team"] = "a" },
        });
        var described = await service.DescribeNamespaceAsync(new() { Namespace = name });
        Assert.Equal(NamespaceState.Registered, described.NamespaceInfo.State);
        Assert.Equal("first", described.NamespaceInfo.Description);
        Assert.Equal(86400, described.Config.WorkflowExecutionRetentionTtl.Seconds);
        Assert.Equal(name, (await service.DescribeNamespaceAsync(new() { Id = described.NamespaceInfo.Id })).NamespaceInfo.Name);
        await service.UpdateNamespaceAsync(new()
        {
            Namespace = name,
            UpdateInfo = new() { Description = "second", Data = { ["team"] = "b" } },
            Config = new() { WorkflowExecutionRetentionTtl = RawWorker.Seconds(172_800) },
        });
        described = await service.DescribeNamespaceAsync(new() { Namespace = name });
        Assert.Equal("second", described.NamespaceInfo.Description);
        Assert.Equal("me@example.com", described.NamespaceInfo.OwnerEmail);
        Assert.Equal("b", described.NamespaceInfo.Data["team"]);
        Assert.Equal(172_800, described.Config.WorkflowExecutionRetentionTtl.Seconds);
        Assert.Contains((await service.ListNamespacesAsync(new())).Namespaces, n => n.NamespaceInfo.Name == name);
        var elsewhere = new TemporalClient(server.Client.Connection, new() { Namespace = name });
        var options = new WorkflowOptions(DevServer.NewId(), "nobody");
        await elsewhere.StartWorkflowAsync((MailboxWorkflow w) => w.RunAsync(), options);
        await RpcAssert.FailsAsync(RpcException.StatusCode.NotFound, () => server.Client.GetWorkflowHandle(options.Id!).DescribeAsync());
        var deleted = await server.Client.Connection.OperatorService.DeleteNamespaceAsync(new() { Namespace = name });
        Assert.NotEmpty(deleted.DeletedNamespace);
        await RpcAssert.FailsWithAsync<NamespaceNotFoundFailure>(RpcException.StatusCode.NotFound, () => service.DescribeNamespaceAsync(new() { Namespace = name }));
    }

    [Fact]
    public async Task Namespaces_are_listed_page_by_page()
    {
        var service = server.Client.Connection.WorkflowService;
        var added = new HashSet<string>();
        for (var i = 0; i < 3; i++)
        {
            var name = $"page-{Guid.NewGuid()}";
            await service.RegisterNamespaceAsync(new() { Namespace = name, WorkflowExecutionRetentionPeriod = RawWorker.Seconds(86400) });
            added.Add(name);
        }

        var seen = new List<string>();
        var token = Google.Protobuf.ByteString.Empty;
        do
        {
            var page = await service.ListNamespacesAsync(new() { PageSize = 2, NextPageToken = token });
            Assert.InRange(page.Namespaces.Count, 0, 2);
            seen.AddRange(page.Namespaces.Select(n => n.NamespaceInfo.Name));
            token = page.NextPageToken;
        }
        while (!token.IsEmpty);
        Assert.Equal(seen.Distinct(), seen);
        Assert.Superset(added, seen.ToHashSet());
        foreach (var name in added)
        {
            await server.Client.Connection.OperatorService.DeleteNamespaceAsync(new() { Namespace = name });
        }
    }

    [Theory]
    [InlineData("Words", IndexedValueType.Text)]
    [InlineData("Word", IndexedValueType.Keyword)]
    [InlineData("Words2", IndexedValueType.KeywordList)]
    [InlineData("Share", IndexedValueType.Double)]
    [InlineData("Since", IndexedValueType.Datetime)]
    [InlineData("Urgent", IndexedValueType.Bool)]
    public async Task A_search_attribute_of_each_type_is_added_listed_and_removed(string name, IndexedValueType type)
    {
        var operators = server.Client.Connection.OperatorService;
        await operators.AddSearchAttributesAsync(new() { Namespace = "default", SearchAttributes = { [name] = type } });
        Assert.Equal(type, (await operators.ListSearchAttributesAsync(new() { Namespace = "default" })).CustomAttributes[name]);
        await RpcAssert.FailsAsync(
            RpcException.StatusCode.AlreadyExists,
            () => operators.AddSearchAttributesAsync(new() { Namespace = "default", SearchAttributes = { [name] = type } }));
        await operators.RemoveSearchAttributesAsync(new() { Namespace = "default", SearchAttributes = { name } });
        Assert.DoesNotContain(name, (await operators.ListSearchAttributesAsync(new() { Namespace = "default" })).CustomAttributes.Keys);
        await RpcAssert.FailsAsync(
            RpcException.StatusCode.NotFound,
            () => operators.RemoveSearchAttributesAsync(new() { Namespace = "default", SearchAttributes = { name } }));
    }

    [Fact]
    public async Task The_server_tells_what_it_is()
    {
        var cluster = await server.Client.Connection.WorkflowService.GetClusterInfoAsync(new());
        Assert.NotEmpty(cluster.ServerVersion);
        Assert.NotEmpty(cluster.ClusterId);
        Assert.True(await server.Client.Connection.CheckHealthAsync());
    }
}
