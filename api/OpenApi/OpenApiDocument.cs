using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Api.Versions;

namespace SnapshotFlow.Api.OpenApi;

/// <summary>
/// The description of every endpoint, <c>/openapi/v1.json</c>: made from the routes and what their handlers answer; <see cref="RequestBodies"/> says what they read.
/// <c>docs/openapi.json</c> is a copy, which a test compares. <c>/openapi</c> is a page to try things out.
/// </summary>
internal static class OpenApiDocument
{
    private const string Name = "v1";
    private const string Token = "X-Auth-Token";

    public static IServiceCollection AddOpenApiDocument(this IServiceCollection services) => services.AddOpenApi(Name, options =>
    {
        options.OpenApiVersion = OpenApiSpecVersion.OpenApi3_1;
        // Views are nested in the endpoints they belong to, and several are called alike.
        options.CreateSchemaReferenceId = info => OpenApiOptions.CreateDefaultSchemaReferenceId(info) is { } id
            ? info.Type.DeclaringType is { } owner ? $"{owner.Name}.{id}" : id
            : null;
        options.AddDocumentTransformer((document, _, _) =>
        {
            Describe(document);
            return Task.CompletedTask;
        });
        options.AddOperationTransformer((operation, context, _) =>
        {
            Describe(operation, context);
            return Task.CompletedTask;
        });
    });

    public static void MapOpenApiDocument(this IEndpointRouteBuilder routes)
    {
        routes.MapOpenApi();
        routes.MapGet("/openapi", (Delegate)TryPage.Show).ExcludeFromDescription();
    }

    private static void Describe(Microsoft.OpenApi.OpenApiDocument document)
    {
        document.Info = new()
        {
            Title = "SnapshotFlow", Version = "1", Description = "Images of running, volume-backed servers, made as durable workflows. The OpenStack dialect under /compute, /volume, /image and"
                + " /identity; runs of our own under /runs; what an administrator registers under /admin.",
        };
        document.Servers = [new() { Url = "/" }];
        // The same under a project in the path, as older clients have it.
        foreach (var path in document.Paths.Keys.Where(p => p.StartsWith("/compute/v2.1/{project_id}", StringComparison.Ordinal)).ToList())
        {
            document.Paths.Remove(path);
        }

        document.Components ??= new();
        document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
        {
            [Token] = new OpenApiSecurityScheme { Type = SecuritySchemeType.ApiKey, In = ParameterLocation.Header, Name = Token, Description = "From POST /identity/v3/auth/tokens, or from Keystone." },
        };
        document.Components.Schemas ??= new Dictionary<string, IOpenApiSchema>();
        document.Components.Schemas["Fault"] = RequestBodies.Schema("""
            {
              "type": "object",
              "description": "What went wrong, under the name of the status: badRequest, unauthorized, forbidden, itemNotFound, conflictingRequest, overLimit, … Image and Identity: under error.",
              "additionalProperties": {"type": "object", "properties": {"code": {"type": "integer"}, "message": {"type": "string"}, "title": {"type": "string"}}, "required": ["code", "message"]}
            }
            """);
        document.Tags = document.Paths.Values.SelectMany(p => p.Operations?.Values ?? Enumerable.Empty<OpenApiOperation>()).SelectMany(o => o.Tags ?? new HashSet<OpenApiTagReference>())
            .Select(t => t.Name).OfType<string>().Distinct().Order(StringComparer.Ordinal).Select(n => new OpenApiTag { Name = n }).ToHashSet();
    }

    private static void Describe(OpenApiOperation operation, OpenApiOperationTransformerContext context)
    {
        var metadata = context.Description.ActionDescriptor.EndpointMetadata;
        var path = "/" + context.Description.RelativePath!.TrimEnd('/');
        var method = context.Description.HttpMethod!;
        operation.OperationId = $"{method.ToLowerInvariant()} {path}";
        operation.Tags = new HashSet<OpenApiTagReference> { new(path.Trim('/').Split('/')[0] is { Length: > 0 } first ? first : "root", context.Document) };
        operation.Parameters ??= [];
        foreach (var name in context.Description.RelativePath!.Split('/').Where(s => s is ['{', .., '}']).Select(s => s[1..^1]).Except(operation.Parameters.Select(p => p.Name)))
        {
            operation.Parameters.Add(new OpenApiParameter { Name = name, In = ParameterLocation.Path, Required = true, Schema = new OpenApiSchema { Type = JsonSchemaType.String } });
        }

        foreach (var (name, type, description) in RequestBodies.Queries(method, path))
        {
            operation.Parameters.Add(new OpenApiParameter { Name = name, In = ParameterLocation.Query, Description = description, Schema = new OpenApiSchema { Type = type } });
        }

        if (metadata.OfType<MicroversionRange>().FirstOrDefault() is { } range)
        {
            operation.Parameters.Add(new OpenApiParameter
            {
                Name = "OpenStack-API-Version", In = ParameterLocation.Header, Description = $"{range.Service} {range.Minimum} to {range.Service} {range.Maximum}; without it {range.Minimum}.",
                Schema = new OpenApiSchema { Type = JsonSchemaType.String },
            });
        }

        if (metadata.OfType<Repeatable>().Any())
        {
            operation.Parameters.Add(new OpenApiParameter
            {
                Name = IdempotencyKey.Header, In = ParameterLocation.Header, Description = "The same key with the same request is the same answer, however often it is sent.",
                Schema = new OpenApiSchema { Type = JsonSchemaType.String },
            });
        }

        if (RequestBodies.Of(method, path) is { } body)
        {
            operation.RequestBody = new OpenApiRequestBody
            {
                Required = true, Content = new Dictionary<string, OpenApiMediaType> { [RequestBodies.TypeOf(method, path)] = new OpenApiMediaType { Schema = RequestBodies.Schema(body.Schema), Example = JsonNode.Parse(body.Example) } },
            };
        }

        operation.Responses ??= [];
        var fault = new OpenApiResponse
        {
            Description = "A fault",
            Content = new Dictionary<string, OpenApiMediaType> { ["application/json"] = new OpenApiMediaType { Schema = new OpenApiSchemaReference("Fault", context.Document) } },
        };
        operation.Responses["default"] = fault;
        if (metadata.OfType<IAuthorizeData>().Any())
        {
            operation.Security = [new() { [new OpenApiSecuritySchemeReference(Token, context.Document)] = [] }];
        }
    }
}
