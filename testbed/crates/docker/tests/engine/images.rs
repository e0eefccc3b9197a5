//! Engines and images.

use dfaas_docker::{DockerError, Engine, ImageSource};

use crate::fixture::{IMAGE, TAG};
use crate::tests;

tests![
    an_engine_says_what_it_is,
    a_local_image_is_not_pulled,
    a_missing_image_is_named,
    a_folder_becomes_an_image,
    a_folder_without_a_dockerfile_is_named,
];

async fn an_engine_says_what_it_is(engine: &Engine) {
    let facts = engine.facts().await.unwrap();
    assert!(!facts.version.is_empty(), "{facts:?}");
    assert!(facts.runtimes.contains(&facts.default_runtime), "{facts:?}");
    assert!(matches!(facts.cgroup_version, Some(1 | 2)), "{facts:?}");
    facts.require_runtime(&facts.default_runtime).unwrap();
    let error = facts.require_runtime("no-such-runc").unwrap_err().to_string();
    assert!(
        error.contains("`no-such-runc`") && error.contains(&facts.default_runtime),
        "{error}"
    );
}

async fn a_local_image_is_not_pulled(engine: &Engine) {
    let name = format!("{IMAGE}:{TAG}");
    let mut steps = Vec::new();
    let source = ImageSource::Named(name.clone());
    let found = engine
        .ensure_image(&source, &mut |step| steps.push(step))
        .await
        .unwrap();
    assert_eq!(found, name);
    assert_eq!(steps, []);
}

async fn a_missing_image_is_named(engine: &Engine) {
    let source = ImageSource::Named("dfaas-testbed-tests/no-such-image:1".to_owned());
    let error = engine.ensure_image(&source, &mut |_| ()).await.unwrap_err();
    assert!(matches!(error, DockerError::Image { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.starts_with("image `dfaas-testbed-tests/no-such-image:1`: it is not on this machine"),
        "{text}"
    );
}

async fn a_folder_becomes_an_image(engine: &Engine) {
    let directory = tempfile::tempdir().unwrap();
    let dockerfile = format!("FROM {IMAGE}:{TAG}\nARG WORD\nRUN echo \"$WORD\" > /word\nCOPY file /file\n");
    std::fs::write(directory.path().join("Dockerfile"), dockerfile).unwrap();
    std::fs::write(directory.path().join("file"), "content").unwrap();
    let source = ImageSource::Folder {
        path: directory.path().to_owned(),
        arguments: [("WORD".to_owned(), "hello".to_owned())].into(),
    };
    let mut steps = Vec::new();
    let image = engine
        .ensure_image(&source, &mut |step| steps.push(step.text))
        .await
        .unwrap();
    assert!(
        steps.iter().any(|step| step.contains("COPY file /file")),
        "{steps:?}"
    );
    let node =
        crate::fixture::Node::create(engine, "cat /word /file", |it| it.image.clone_from(&image)).await;
    assert_eq!(node.output().await, "hello\ncontent");
    node.remove(engine).await;
    let docker = bollard::Docker::connect_with_local_defaults().unwrap();
    let options: Option<bollard::query_parameters::RemoveImageOptions> = None;
    docker.remove_image(&image, options, None).await.unwrap();
}

async fn a_folder_without_a_dockerfile_is_named(engine: &Engine) {
    let directory = tempfile::tempdir().unwrap();
    let source = ImageSource::Folder {
        path: directory.path().to_owned(),
        arguments: Default::default(),
    };
    let error = engine
        .ensure_image(&source, &mut |_| ())
        .await
        .unwrap_err()
        .to_string();
    let expected = format!(
        "image `{}`: the folder has no `Dockerfile`",
        directory.path().display()
    );
    assert_eq!(error, expected);
}
